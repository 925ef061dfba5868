import csv
import importlib.util
import json
from pathlib import Path

import pytest
from matplotlib.image import imread

TOOL = Path(__file__).parents[2] / 'tools' / 'analysis_tools' / 'plot_monitor.py'

FILES = {'monitor.csv', 'monitor.json', 'monitor.md', 'monitor_gradients.png', 'monitor_kd.png',
         'monitor_losses.png'}


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('tool_plot_monitor', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def line(iteration, per_epoch=2, **values):
    return {'loss': 2., **values, 'iter': iteration, 'step': iteration,
            'epoch': (iteration - 1) // per_epoch + 1}


def ips(iteration, scale=1., **values):
    return line(iteration, **{
        'grad/backbone.conv1': scale * iteration, 'grad/backbone.layer1': scale, 'loss_ce': 1.5,
        'loss_kd': .5, 'kd_grad': scale, 'kd_grad_swapped': .5, 'kd_grad_raw': 1.5,
        'conf_gap': .1, 'conf_gap_swapped': .05, 'conf_gap_raw': .15, 'swap_rate': .5, **values})


def write(folder, *runs):
    """A work directory; each run has a log of its own, of lines, text or validations."""
    for number, records in enumerate(runs):
        place = folder / f'2026010{number}_000000' / 'vis_data'
        place.mkdir(parents=True)
        (place / 'scalars.json').write_text('\n'.join(
            record if isinstance(record, str) else json.dumps(record) for record in records))
    return str(folder)


@pytest.fixture
def two(tmp_path):
    return [write(tmp_path / 'plain', [ips(i, 2.) for i in range(1, 5)]),
            write(tmp_path / 'swap', [ips(i) for i in range(1, 5)] + [
                {'accuracy/top1': 50., 'step': 2}])]


def test_tables_and_pictures_of_two_runs(tool, two, tmp_path, capsys):
    out = tmp_path / 'out'
    tool.main([*two, '--names', 'no swap', 'IPS', '--out', str(out)])
    assert {file.name for file in out.iterdir()} == FILES
    with open(out / 'monitor.csv', newline='') as file:
        header, *rows = csv.reader(file)
    assert header == ['run', 'quantity', 'epoch', 'value']
    # Iterations 1 and 2 are epoch 1, 3 and 4 epoch 2.
    assert [row for row in rows if row[1] == 'grad/backbone.conv1'] == [
        ['no swap', 'grad/backbone.conv1', '1', '3'], ['no swap', 'grad/backbone.conv1', '2', '7'],
        ['IPS', 'grad/backbone.conv1', '1', '1.5'], ['IPS', 'grad/backbone.conv1', '2', '3.5']]
    assert not any(row[1] in ('accuracy/top1', 'iter', 'step', 'epoch') for row in rows)
    stored = json.loads((out / 'monitor.json').read_text())
    assert stored['unit'] == 'epoch' and stored['means']['IPS']['grad/backbone.conv1'] == 2.5
    assert stored['runs']['IPS']['kd_grad'] == {'1': 1., '2': 1.}
    text = (out / 'monitor.md').read_text()
    assert '| mean over the training | no swap | IPS | IPS / no swap |' in text
    assert '| grad/backbone.conv1 | 5 | 2.5 | 0.50 |' in text
    assert text in capsys.readouterr().out
    for name in FILES:
        if name.endswith('.png'):
            assert imread(out / name).std() > 0


def test_epochs_and_default_names(tool, two, tmp_path):
    found = tool.main([*two, '--out', str(tmp_path / 'out'), '--epochs', '2', '2'])
    assert list(found) == ['plain', 'swap']
    assert found['swap']['grad/backbone.conv1'] == {2: 3.5}
    with pytest.raises(SystemExit):
        tool.main([*two, '--out', str(tmp_path / 'out'), '--epochs', '3', '2'])


def test_epochs_that_are_not_there(tool, two, tmp_path, capsys):
    with pytest.raises(SystemExit):
        tool.main([*two, '--out', str(tmp_path / 'out'), '--epochs', '8', '9'])
    assert 'plain holds nothing from 8 to 9, only epoch 1 to 2' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_a_resumed_run_is_joined_and_a_new_one_replaces_it(tool, tmp_path):
    # Killed in its fifth iteration, resumed from the end of the second.
    first = [ips(i) for i in range(1, 5)] + ['{"loss": 2.0, "it']
    resumed = write(tmp_path / 'resumed', first, [ips(i, 10.) for i in (3, 4, 5)], [])
    lines = tool.read_log(resumed)
    assert [(one['iter'], one['kd_grad']) for one in lines] == [
        (1, 1), (2, 1), (3, 10), (4, 10), (5, 10)]
    again = write(tmp_path / 'again', first, [ips(i, 10.) for i in (1, 2)])
    assert [(one['iter'], one['kd_grad']) for one in tool.read_log(again)] == [(1, 10), (2, 10)]


def test_hard_label_beside_ips_and_what_is_missing_is_said(tool, two, tmp_path, capsys):
    hard = write(tmp_path / 'hard', [line(i, **{'grad/backbone.conv1': 1.}) for i in (1, 2)])
    bare = write(tmp_path / 'bare', [line(i) for i in (1, 2)])
    tool.main([hard, bare, two[1], '--out', str(tmp_path / 'out')])
    out = capsys.readouterr().out
    assert "hard has logged no kd_grad: that is done by dict(type='mmips.SelfDistill" in out
    assert "bare has logged no grad/: that is done by dict(type='mmips.GradientMonitor')." in out
    assert 'swap has logged no' not in out and 'hard has logged no grad/' not in out
    assert '| grad/backbone.conv1 | 1 |  | 2.5 |  | 2.50 |' in out


def test_runs_without_pairs_have_no_picture_of_them(tool, tmp_path):
    hard = write(tmp_path / 'hard', [line(i, **{'grad/backbone.conv1': 1.}) for i in (1, 2)])
    tool.main([hard, '--out', str(tmp_path / 'out')])
    assert {file.name for file in (tmp_path / 'out').iterdir()} == FILES - {'monitor_kd.png'}


def test_iteration_based_runs(tool, tmp_path):
    records = [{k: v for k, v in ips(i).items() if k != 'epoch'} for i in (10, 20)]
    found = tool.main([write(tmp_path / 'run', records), '--out', str(tmp_path / 'out')])
    assert found['run']['grad/backbone.conv1'] == {10: 10., 20: 20.}
    with open(tmp_path / 'out' / 'monitor.csv') as file:
        assert file.readline().strip() == 'run,quantity,iter,value'


@pytest.mark.parametrize(('runs', 'message'), [
    ([], 'holds no */vis_data/scalars.json: give the work directory'),
    ([[{'accuracy/top1': 1., 'step': 1}]], 'holds no line of training in'),
    ([[line(1)]], "custom_hooks = [\n    dict(type='mmips.EpochSeedHook'),\n"
     "    dict(type='mmips.SelfDistillMonitor'),  # not with a hard label\n"
     "    dict(type='mmips.GradientMonitor'),\n]"),
])
def test_what_cannot_be_drawn_is_said_in_one_message(tool, tmp_path, capsys, runs, message):
    folder = write(tmp_path / 'run', *runs)
    with pytest.raises(SystemExit) as stop:
        tool.main([folder, '--out', str(tmp_path / 'out')])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and 'Traceback' not in error
    assert not (tmp_path / 'out').exists()


def test_names_must_fit(tool, two, tmp_path, capsys):
    for names, message in ((['a'], 'a name for each of the 2'), (['a', 'a'], 'must differ')):
        with pytest.raises(SystemExit):
            tool.main([*two, '--names', *names, '--out', str(tmp_path / 'out')])
        assert message in capsys.readouterr().err


def test_reads_what_the_hooks_have_logged(tool, make_runner, tmp_path):
    runner = make_runner(**{'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2,
                            'default_hooks.gradients': dict(type='mmips.GradientMonitor')})
    runner.train()
    found = tool.main([str(tmp_path / 'run'), '--out', str(tmp_path / 'out')])
    assert set(found['run']['kd_grad']) == {1, 2}
    assert len([key for key in found['run'] if key.startswith('grad/')]) == 15
    assert {file.name for file in (tmp_path / 'out').iterdir()} == FILES
