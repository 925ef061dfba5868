import csv
import json

import pytest
from helpers.logs import gradients, ips, line, write_run
from matplotlib.image import imread

from mmips.errors import UserError
from mmips.evaluation.monitor import compare_monitors, read_quantities

FILES = {'monitor.csv', 'monitor.json', 'monitor.md', 'monitor_gradients.png', 'monitor_kd.png',
         'monitor_losses.png'}
NAN = float('nan')


def records(steps, scale=1., merged=False):
    """Gradients on lines of their own, or as older versions wrote them beside the losses."""
    for step in steps:
        if merged:
            yield {**gradients(step, scale), **ips(step, scale)}
        else:
            yield from (gradients(step, scale), ips(step, scale))


@pytest.fixture
def two(tmp_path):
    return {'no swap': write_run(tmp_path / 'plain', records(range(1, 5), 2., merged=True)),
            'IPS': write_run(tmp_path / 'swap', [*records(range(1, 5)),
                                                 {'accuracy/top1': 50., 'step': 2}])}


def values(found, run, key='grad/backbone.conv1'):
    part = found[(found['run'] == run) & (found['quantity'] == key)]
    return dict(zip(part.iloc[:, 2], part['value']))


def test_tables_and_pictures_of_two_runs(two, tmp_path, capsys):
    out = tmp_path / 'new' / 'out'
    compare_monitors(two, out)
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
    assert all(imread(out / name).std() > 0 for name in FILES if name.endswith('.png'))
    assert values(read_quantities(two, (2, 2)), 'IPS') == {2: 3.5}
    with pytest.raises(UserError, match='no swap holds nothing from 8 to 9, only epoch 1 to 2'):
        read_quantities(two, (8, 9))


def test_runs_that_lack_something_or_have_diverged(two, tmp_path, capsys):
    hard = write_run(tmp_path / 'hard', [gradients(1), line(1, loss=NAN)])
    bare = write_run(tmp_path / 'bare', [line(i) for i in (1, 2)])
    compare_monitors(dict(hard=hard, bare=bare, swap=two['IPS']), tmp_path / 'out')
    out = capsys.readouterr().out
    assert "hard has logged no kd_grad: that is done by dict(type='mmips.SelfDistill" in out
    assert "bare has logged no grad/: that is done by dict(type='mmips.GradientMonitor')." in out
    assert 'swap has logged no' not in out and 'hard has logged no grad/' not in out
    assert '| grad/backbone.conv1 | 1 |  | 2.5 |  | 2.50 |' in out
    assert '| loss | nan | 2 | 2 | nan | nan |' in out
    stored = json.loads((tmp_path / 'out/monitor.json').read_text(), parse_constant=pytest.fail)
    assert stored['means']['hard']['loss'] is stored['runs']['hard']['loss']['1'] is None
    compare_monitors(dict(hard=hard), tmp_path / 'alone')
    # Without pairs there is no picture of them.
    assert {file.name for file in (tmp_path / 'alone').iterdir()} == FILES - {'monitor_kd.png'}


def test_iteration_based_runs(tmp_path):
    lines = [{k: v for k, v in record.items() if k != 'epoch' or 'loss' not in record}
             for record in records((10, 20))]
    found = compare_monitors({'run': write_run(tmp_path / 'run', lines)}, tmp_path / 'out')
    assert list(found) == ['run', 'quantity', 'iter', 'value']
    assert values(found, 'run') == {10: 10., 20: 20.}


@pytest.mark.parametrize('record', [{'accuracy/top1': 1., 'step': 1}, line(1)])
def test_what_cannot_be_drawn_is_said(tmp_path, record):
    with pytest.raises(UserError) as error:
        compare_monitors({'run': write_run(tmp_path / 'run', [record])}, tmp_path / 'out')
    assert """custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),  # not with a hard label
    dict(type='mmips.GradientMonitor'),
]""" in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_odd_logs_are_told_and_the_rest_is_drawn(tmp_path, capsys):
    odd = 'grad/$\\frac$\n|=x'
    run = write_run(tmp_path / 'run', [
        '[1]', *records(range(1, 5)), line(5, **{odd: 2.}, loss='text', kd_grad=float('inf')),
        line(6, kd_grad=1e308), line(6, kd_grad=1e308)])
    found = compare_monitors({'=run': run}, tmp_path / 'out')
    told, = capsys.readouterr().err.splitlines()
    assert told.startswith('Not read: ') and '1 lines' in told and 'loss in line 10' in told
    assert values(found, '=run', 'grad/$\\frac$ |=x') == {3: 2.}
    assert {file.name for file in (tmp_path / 'out').iterdir()} == FILES
    with open(tmp_path / 'out/monitor.csv', newline='') as file:
        assert {row[0] for row in csv.reader(file)} == {'run', "'=run"}
    assert '| grad/$\\\\frac$ \\|=x | 2 |' in (tmp_path / 'out/monitor.md').read_text()
