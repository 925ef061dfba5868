import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.configs import ROOT
from helpers.tools import load_tool

FILE = """
config: ips/resnet-s_hard_npz.py
options: {train_cfg.max_epochs: 4, model.backbone.base_channels: 4, model.backbone.stem_channels: 4,
          model.head.in_channels: 16, default_hooks.checkpoint.interval: 1,
          optim_wrapper.optimizer.lr: 0.3, test_evaluator: [{type: Accuracy, topk: [1]},
                                                            {type: mmips.SafetyMetrics}]}
seeds: [0]
evaluate: [test, train]
curves: true
recipes:
  hard label: {}
  bad: {options: {model.head.in_channels: 5}}
  IPS: {config: ips/resnet-s_ips-eqcost_npz.py}
"""


@pytest.fixture(scope='module')
def tool():
    return load_tool('analysis_tools/sweep.py')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with a sweep and its data."""
    path = tmp_path_factory.mktemp('sweep')
    rng = np.random.default_rng(0)
    np.savez(path / 'tiny.npz', images_train=rng.integers(0, 255, (24, 32, 32, 3), np.uint8),
             labels_train=np.repeat(np.arange(4), 6),
             images_test=rng.integers(0, 255, (40, 32, 32, 3), np.uint8),
             labels_test=np.repeat(np.arange(4), 10))
    (path / 'tiny.yml').write_text(FILE)
    return path


@pytest.fixture
def argv(folder, monkeypatch):
    # What the tool sets stays in the process.
    monkeypatch.setenv('MMIPS_NPZ', '')
    monkeypatch.setenv('MMIPS_MAX_CLASSES', '0')
    return [str(folder / 'tiny.yml'), '--npz', str(folder / 'tiny.npz'), '--max-classes', '3',
            '--jobs', '1', '--devices', 'cpu', '--work-dir', str(folder / 'whole')]


@pytest.fixture
def sweep(tool, argv, capsys):
    """Function: run the tool with more options; returns its status and what it printed."""

    def run(*options):
        status = 0
        try:
            tool.main([*argv, *options])
        except SystemExit as end:
            status = end.code
        return status, capsys.readouterr()

    return run


@pytest.fixture
def whole(sweep, folder):
    """The folder of a sweep that has ended, with one failure, and what it printed."""
    out = folder / 'whole'
    return out, None if out.exists() else sweep()


def test_trains_what_does_not_fail_and_nothing_twice(sweep, whole):
    out, (status, printed) = whole
    assert status == 2
    assert [line.partition(':')[0] for line in printed.out.splitlines() if line[:1] == '['] == [
        '[1/3] hard label, seed 0', '[2/3] bad, seed 0', '[3/3] IPS, seed 0']
    assert 'bad, seed 0, failed (UserError: The first training step fails in' in printed.err
    assert '--retry-failed' in printed.err
    assert f'{out}/bad/seed0/train.log' in printed.err
    assert 'Traceback' not in printed.err
    assert 'Traceback' in (out / 'bad' / 'seed0' / 'train.log').read_text()
    rows = (out / 'results.csv').read_text().splitlines()
    header = rows[0].split(',')
    assert header[:3] == ['recipe', 'seed', 'test_accuracy/top1'] and 'train_safety/nll' in header
    assert header[-3:] == ['images_seen', 'epochs', 'best_validation']
    assert [row.split(',')[0] for row in rows[1:]] == ['hard label', 'IPS']
    # Three classes of six.
    assert rows[1].split(',')[-3:-1] == ['72', '4']
    assert '| bad | – |' in printed.out and '| bad | – |' in (out / 'results.md').read_text()
    assert (out / 'curves.png').stat().st_size > 10_000
    assert (out / 'IPS' / 'seed0' / 'epoch_4.pth').is_file()

    times = {path: path.stat().st_mtime_ns for path in out.rglob('seed0/*')}
    status, text = sweep()
    assert status == 2 and '[1/' not in text.out and 'bad, seed 0, failed' in text.err
    assert times == {path: path.stat().st_mtime_ns for path in out.rglob('seed0/*')}
    # Chosen recipes alone decide.
    status, text = sweep('--only', 'IPS', 'hard label')
    assert not status and '| bad | – |' in text.out
    assert '[1/1] bad, seed 0: failed' in sweep('--retry-failed')[1].out
    _, text = sweep('--cfg-options', 'optim_wrapper.optimizer.lr=0.5')
    assert 'hard_label/seed0 holds a run of another setup (differing: config)' in text.err


@pytest.mark.slow
def test_a_killed_sweep_leaves_no_orphans_and_ends_with_the_same_bytes(whole, argv, folder):
    out = folder / 'killed'
    command = [sys.executable, '-W', 'ignore', ROOT / 'tools/analysis_tools/sweep.py', *argv[:-1],
               out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    moment = out / 'IPS' / 'seed0' / 'last_checkpoint'
    while not (moment.exists() and moment.read_text()):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    process.kill()
    process.communicate(timeout=60)
    assert children
    deadline = time.time() + 60
    while any(Path(f'/proc/{child}').exists() for child in children) and time.time() < deadline:
        time.sleep(0.05)
    assert not any(Path(f'/proc/{child}').exists() for child in children)
    assert not (moment.parent / 'result.json').exists()
    # The partial table of what had ended.
    assert (out / 'results.csv').read_text().count('\n') == 2
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 2
    assert '[1/1] IPS' in again.stdout and 'bad, seed 0, failed' in again.stderr
    assert (out / 'results.csv').read_bytes() == (whole[0] / 'results.csv').read_bytes()


def test_lists_and_collects_without_training(sweep, whole, folder):
    out = folder / 'copy'
    shutil.copytree(whole[0] / 'IPS', out / 'IPS')
    there = ('--work-dir', str(out))
    assert sweep(*there, '--list')[1].out == (
        'hard label   (hard_label)\nbad   (bad)\nIPS   (IPS)\n')
    assert '| hard label | – |' in sweep(*there, '--collect', '--seeds', '0', '1')[1].out
    assert (out / 'results.csv').read_text().splitlines()[1].startswith('IPS,0,')
    assert (out / 'curves.png').is_file() and not (out / 'bad').exists()


@pytest.mark.parametrize('options, message', [
    (['--npz', 'gone.npz'], '--npz: must name an existing file, got gone.npz'),
    (['--jobs', '0'], '--jobs: must be at least 1, got 0'),
    (['--only', 'soft label'], "--only: no recipe is called 'soft label'"),
    (['--cfg-options', 'model.alhpa=1'], 'the option model.alhpa does not exist'),
    (['--list', '--fresh'], '--list and --collect train nothing'),
    (['--slurm', 'partition=x'], '--slurm needs --engine slurm'),
    (['--list', '--collect'], 'not allowed with argument')])
def test_refuses(sweep, options, message):
    status, text = sweep(*options)
    assert status == 2 and message in text.err


def test_options_that_no_config_reads_are_refused(sweep, argv, tmp_path):
    (tmp_path / 'own.yml').write_text('config: ips/resnet-s_ips_digits.py\nrecipes: {a: {}}')
    argv[0] = str(tmp_path / 'own.yml')
    status, text = sweep('--list')
    assert status == 2 and '--npz, --max-classes and --per-class would have no effect' in text.err


def test_options_that_would_make_names_wrong_are_refused(sweep, argv, tmp_path):
    (tmp_path / 'own.yml').write_text('config: ips/resnet-s_hard_npz.py\n'
                                      'axes: {epochs: {key: train_cfg.max_epochs, values: [1, 2]}}')
    argv[0] = str(tmp_path / 'own.yml')
    status, text = sweep('--list', '--cfg-options', 'train_cfg.max_epochs=3')
    assert status == 2 and '--cfg-options train_cfg.max_epochs: an axis of ' in text.err


def test_an_engine_is_chosen(tool, sweep, argv, monkeypatch):
    chosen = []
    monkeypatch.setattr(tool.sweep, 'train_recipes',
                        lambda *args: chosen.append(args[3].keywords) or {})
    monkeypatch.setattr(tool.sweep, 'report', lambda *args: None)
    sweep()
    sweep('--engine', 'slurm', '--slurm', 'partition=gpu', 'time=60')
    assert chosen == [dict(devices=[''], jobs=1), dict(
        folder=Path(argv[-1]) / 'slurm',
        options=dict(partition='gpu', time=60, array_parallelism=1))]
