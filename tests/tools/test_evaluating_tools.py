"""One run of each evaluating tool and its wrong uses; what they do is tested by import."""
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.configs import ROOT
from helpers.tools import load_tool
from mmengine.config import Config
from mmengine.runner import Runner

ATTACKS, SAFETY = 'analysis_tools/eval_attacks.py', 'analysis_tools/eval_safety.py'
CORRUPTIONS, MONITOR = 'analysis_tools/eval_corruptions.py', 'analysis_tools/plot_monitor.py'
CAM, PAIRS = 'visualization/compare_cam.py', 'visualization/browse_pairs.py'
DISTRIBUTION = 'visualization/predictive_distribution.py'
PREDICTIONS = 'visualization/compare_predictions.py'
TOOLS = (ATTACKS, SAFETY, CORRUPTIONS, CAM, PAIRS, DISTRIBUTION, PREDICTIONS, 'train.py', 'test.py')
BOTH = ['0.pth', '1.pth', '--names', 'a', 'b', '--out', 'out', '--device', 'cpu']


@pytest.mark.parametrize('name, argv, files', [
    (CORRUPTIONS, [*BOTH, '--corruptions', 'fog', '--severities', '1'],
     ['out/corruption_examples.png', 'out/corruptions.csv', 'out/corruptions.json',
      'out/corruptions.md', 'out/corruptions.png', 'out/corruptions_done.json']),
    (CAM, [*BOTH, '--num', '2', '--pick', 'spread'], ['out/cam.csv', 'out/cam.png']),
    (DISTRIBUTION, [*BOTH, '--num', '2', '--batch-size', '3'],
     ['out/distribution_classes.png', 'out/distribution_images.png', 'out/distributions.csv',
      'out/distributions.json', 'out/distributions.md']),
    (PAIRS, ['--checkpoint', '0.pth', '--device', 'cpu', '--num-pairs', '3'],
     ['work_dirs/config/pairs.csv', 'work_dirs/config/pairs.png']),
    (PAIRS, ['--num-pairs', '1', '--output-dir', 'out', '--prob', '1'], ['out/pairs.png'])])
def test_a_tool_writes_its_files(tiny, capsys, name, argv, files):
    load_tool(name).main(['config.py', *argv])
    assert sorted(map(str, Path(files[0]).parent.iterdir())) == files
    for file in map(Path, files):
        assert file.stat().st_size > 100
        assert file.suffix != '.md' or file.read_text() in capsys.readouterr().out


def test_attacks_lower_the_accuracy(tiny):
    scores = load_tool(ATTACKS).main(['config.py', *BOTH, '--eps', '0.3', '0', '--steps', '2',
                                      '--split', 'train'])
    table = scores.pivot(index=['attack', 'checkpoint'], columns='eps', values='accuracy')
    assert len(table) == 6 and list(table) == [0, 0.3] and set(scores.images) == {24}
    assert (table[0.3] <= table[0]).all() and (table[0.3] < table[0])['pgd'].any()
    assert sorted(path.name for path in Path('out').iterdir()) == [
        'attacks.csv', 'attacks.json', 'attacks.md', 'attacks.png', 'attacks_done.json']


def test_the_papers_eps_are_the_default():
    parse_args = load_tool(ATTACKS).parse_args
    args = parse_args(['config.py', 'x.pth', '--out', 'out'])
    named = parse_args(['config.py', 'x.pth', '--out', 'out', '--eps', '0.05', '0.01', '0.005',
                        '0.003', '0.001', '0', '0.01'])
    # As text: an integer 0 would be another key of the stored results.
    assert str(args.eps) == str(named.eps) == '[0.0, 0.001, 0.003, 0.005, 0.01, 0.05]'


def test_safety_has_the_numbers_of_the_toolbox(tiny, capsys):
    found = load_tool(SAFETY).main(['config.py', *BOTH, '--groups', 'x', 'x', '--batch-size', '3',
                                    '--num-bins', '4'])
    for number, name in enumerate('ab'):
        cfg = Config.fromfile('config.py')
        cfg.pop('train_dataloader')
        cfg.merge_from_dict({
            'load_from': f'{number}.pth', 'work_dir': name, 'experiment_name': name, 'test_cfg': {},
            'test_dataloader.sampler': dict(type='DefaultSampler', shuffle=False),
            'test_dataloader.collate_fn': dict(type='default_collate'), 'test_evaluator': [
                dict(type='Accuracy', topk=(1, )), dict(type='mmips.SafetyMetrics', num_bins=4)]})
        expected = {key.replace('accuracy/', '').replace('safety/', ''): value
                    for key, value in Runner.from_cfg(cfg).test().items()}
        assert found[name] == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert found['a']['ece'] != pytest.approx(found['b']['ece'], abs=1e-3)
    assert sorted(path.name for path in Path('out').iterdir()) == [
        'reliability.png', 'risk_coverage.png', 'safety.csv', 'safety.json', 'safety.md',
        'safety_groups.csv']
    assert json.loads(Path('out/safety.json').read_text())['config'] == 'config.py'
    assert Path('out/safety.md').read_text() in capsys.readouterr().out


def test_the_monitor_reads_what_the_hooks_have_logged(make_runner, tmp_path):
    make_runner(**{'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2,
                   'default_hooks.gradients': dict(type='mmips.GradientMonitor')}).train()
    found = load_tool(MONITOR).main([str(tmp_path / 'run'), '--out', str(tmp_path / 'out')])
    assert set(found['run']) == {'run'}
    assert set(found[found['quantity'] == 'kd_grad']['epoch']) == {1, 2}
    assert found['quantity'].str.startswith('grad/').sum() == 15 * 2
    assert len(list((tmp_path / 'out').iterdir())) == 6


def test_predictions_are_compared_as_asked_for():
    argv = ['c.py', 'a/one/epoch_1.pth', '/b/two/epoch_1.pth', '--out', 'out']
    args = load_tool(PREDICTIONS).parse_args(argv)
    assert args.paths == {'one/epoch_1': argv[1], 'two/epoch_1': argv[2]}
    assert (args.baseline, args.split, args.images, args.num) == ('one/epoch_1', 'test', (), 4)
    args = load_tool(PREDICTIONS).parse_args([*argv, '--baseline', 'two/epoch_1', '--images', '3'])
    assert (args.baseline, args.images, args.device) == ('two/epoch_1', [3], None)


TWO = ['config.py', 'a.pth', 'b.pth', '--names', 'a', 'b', '--out', 'out']


@pytest.mark.parametrize('name, argv, words', [
    (ATTACKS, [*TWO, '--eps', '0', '8'], 'within 0 to 1'),
    (ATTACKS, [*TWO, '--attacks', 'fgsm', 'cw'], "invalid choice: 'cw'"),
    (ATTACKS, [*TWO, '--attacks', 'fgsm', '--step-size', '0.1'], 'FGSM is one step of size eps'),
    (ATTACKS, [*TWO, '--seed', str(2 ** 32)], '--seed: must be at most 4294967295, got'),
    (SAFETY, [*TWO, '--num-workers', '-1'], '--num-workers: must be at least 0, got -1'),
    (SAFETY, ['config.py', *BOTH, '--device', 'gpu'], '--device gpu: Expected one of cpu, cuda'),
    (SAFETY, ['config.py', *BOTH, '--cfg-options', 'model.type=X'],
     'The model cannot be built: KeyError: X is not in'),
    (SAFETY, ['config.py', *BOTH, '--cfg-options', 'test_dataloader.batch_size=0'],
     'test_dataloader cannot be built: ValueError: batch_size should be'),
    (SAFETY, ['config.py', 'http://127.0.0.1:9/x.pth', '--out', 'out'],
     'http://127.0.0.1:9/x.pth cannot be read: URLError'),
    (CAM, [*TWO, '--method', 'FullGrad', '--target-layers', 'backbone'], 'looks at all layers'),
    (CAM, [*TWO, '--num-extra-tokens', '3'], '--num-extra-tokens needs --vit-like'),
    (PAIRS, ['config.py', '--prob', 'nan'], '--prob must be within 0 to 1, got nan'),
    (PAIRS, ['config.py', '--out', 'a.png', '--output-dir', 'b'], 'not allowed with'),
    (PAIRS, ['config.py', '--out', 'out/a.md'], 'no picture can be a .md, but a .'),
    (ATTACKS, [*TWO, '--steps', '0'], '--steps: must be at least 1, got 0'),
    (ATTACKS, [*TWO, '--step-size', '0.1', '--rel-step-size', '0.1'], 'not allowed with'),
    (SAFETY, [*TWO, '--groups', 'x'], 'a group for each of the 2 checkpoints, got 1'),
    (CORRUPTIONS, ['config.py', *BOTH, '--severities', '6'], 'got 6'),
    (CAM, ['config.py', *BOTH, '--target', 'clas 2'], 'Did you mean class 2'),
    (CAM, [*TWO, '--images', '3', '--pick', 'disagree'], 'not allowed with'),
    (PAIRS, ['config.py', '--names', 'a'], 'a name for each of the 0 checkpoints'),
    (DISTRIBUTION, [*TWO, '--names', 'a', 'a'], 'must differ'),
    (DISTRIBUTION, ['config.py', 'x.pth', '--out', 'out', '--pick', 'disagree'],
     'compares two checkpoints or more, got one'),
    (PREDICTIONS, [*TWO, '--baseline', 'c'], "--baseline must be one of ['a', 'b'], got 'c'"),
    (PREDICTIONS, ['c.py', *TWO[1:]], "There is no config file 'c.py'"),
    (MONITOR, ['a', 'b', '--out', 'out', '--epochs', '3', '2'], 'needs 1 <= A <= B, got 3 2'),
    (MONITOR, ['a', 'b', '--out', 'out'], 'a holds no */vis_data/scalars.json: give the work')])
def test_wrong_use_ends_in_one_message(tiny, capsys, name, argv, words):
    with pytest.raises(SystemExit) as stop:
        load_tool(name).main(argv)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and words in error and 'Traceback' not in error
    assert not Path('out').exists()


def test_help_does_not_wait_for_torch():
    code = ('import runpy, sys\n'
            'for path in sys.argv[1:]:\n'
            "    sys.argv = [path, '--help']\n"
            "    try:\n        runpy.run_path(path, run_name='__main__')\n"
            '    except SystemExit as end:\n        assert not end.code\n'
            "assert 'torch' not in sys.modules")
    paths = [str(ROOT / 'tools' / name) for name in TOOLS]
    result = subprocess.run([sys.executable, '-c', code, *paths], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count('usage:') == len(TOOLS)


def test_another_range_of_the_images_is_refused(tiny, capsys):
    with pytest.raises(SystemExit):
        load_tool(ATTACKS).main(['config.py', *BOTH, '--image-range', '0', '1', '--eps', '0.1'])
    error = capsys.readouterr().err
    assert 'but their values go from' in error and 'correct --image-range' in error
