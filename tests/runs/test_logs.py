import math

import pytest
from helpers.logs import gradients, line, write_run

from mmips.errors import MissingFileError
from mmips.runs import logs

VALIDATED = [{'top1': 12.5, 'step': epoch} for epoch in (1, 2)]
# Killed in its fifth iteration, half a line behind.
KILLED = [line(1), line(2), VALIDATED[0], line(3), line(4), VALIDATED[1], '{"loss": 2.0, "it']


def curve(folder, key='loss'):
    log = logs.read_run(folder)
    log = log[log['key'] == key]
    return list(zip(log['step'], log['value']))


def test_a_run_has_what_was_logged(tmp_path):
    log = logs.read_run(write_run(tmp_path, [*KILLED, line(5, loss=float('nan'), done=True)]))
    loss, top1 = log[log['key'] == 'loss'], log[log['key'] == 'top1']
    assert list(loss['epoch']) == [1, 1, 2, 2, 3] and math.isnan(loss['value'].iloc[-1])
    assert (set(loss['unit']), set(top1['unit'])) == ({'iteration'}, {'epoch'})
    assert curve(tmp_path, 'top1') == [(1, 12.5), (2, 12.5)] and 'done' not in set(log['key'])
    assert list(log['training']) == [True, True, False, True, True, False, True]


@pytest.mark.parametrize(('starts', 'expected', 'validated'), [
    # Resumed from the end of the first epoch, started again in vain, and resumed once more.
    ([KILLED, [line(3, loss=1.), line(4, loss=1.)], [], [line(5, loss=0.)]],
     [(1, 2), (2, 2), (3, 1), (4, 1), (5, 0)], [1]),
    # Anew with another interval of logging, then resumed: nothing of the first attempt is left.
    ([KILLED, [line(2, loss=1.), VALIDATED[0]], [line(3, loss=0.)]], [(2, 1), (3, 0)], [1]),
    # Validated at once after a resume.
    ([KILLED, [VALIDATED[1]]], [(1, 2), (2, 2), (3, 2), (4, 2)], [1, 2, 2]),
    # GradientMonitor writes before the loss, and counts from the beginning of the epoch.
    ([KILLED, [gradients(3), line(3, loss=1.)]], [(1, 2), (2, 2), (3, 1)], [1]),
])
def test_resumed_runs_continue_and_new_ones_replace(tmp_path, starts, expected, validated):
    write_run(tmp_path, *starts)
    assert curve(tmp_path) == expected
    assert [step for step, _ in curve(tmp_path, 'top1')] == validated


@pytest.mark.parametrize('epochs', [{}, {'epoch': 1}])
def test_iteration_based_runs(tmp_path, epochs):
    """Their lines have no epoch, but for those of GradientMonitor."""
    def lines(steps, loss):
        return [record for step in steps for record in (
            {'grad/a': loss, 'iter': step, 'step': step, **epochs},
            {'loss': loss, 'iter': step, 'step': step})]

    write_run(tmp_path / 'anew', lines((10, 20), 2), lines((10, ), 1))
    write_run(tmp_path / 'resumed', [*lines((10, ), 2), {'mIoU': 30., 'step': 10}],
              lines((20, 30), 1))
    for key in ('loss', 'grad/a'):
        assert curve(tmp_path / 'anew', key) == [(10, 1)]
        assert curve(tmp_path / 'resumed', key) == [(10, 2), (20, 1), (30, 1)]
    assert set(logs.read_run(tmp_path / 'resumed')['unit']) == {'iteration'}


def test_runs_are_found_in_the_order_of_their_numbers(tmp_path):
    for name in ('a/seed10', 'a/seed9', '.trash/seed0'):
        write_run(tmp_path / name, [line(1)])
    assert [folder.name for folder in logs.find_runs(tmp_path)] == ['seed9', 'seed10']
    assert logs.find_runs(tmp_path / 'a/seed9') == [tmp_path / 'a/seed9']


@pytest.mark.parametrize(('starts', 'message'), [
    ([], r'holds no \*/vis_data/scalars.json: give'), ([[]], 'holds no line in')])
def test_nothing_logged(tmp_path, starts, message):
    with pytest.raises(MissingFileError, match=message):
        logs.read_run(write_run(tmp_path, *starts))


def test_what_a_log_should_not_hold_is_left_out_and_told_once(tmp_path, capsys):
    folder = write_run(tmp_path, [
        '[1, 2]', '5', 'null', line(1), {'loss': 1.}, {'loss': 1., 'step': 'two'}, '{"step": true}',
        'no JSON}', '{"a": ' + '[' * 100000 + '}', '{"loss": 1, "step": ' + '9' * 5000 + '}',
        line(2, loss='=cmd()', **{'=a\n\x00b\ud800': 3.}),
        '{"loss": ' + '9' * 5000 + ', "step": 3, "iter": 3, "epoch": 2}', '{"loss": 4.0, "st'])
    log = logs.read_run(folder)
    told, = capsys.readouterr().err.splitlines()
    assert told.startswith(f'Not read: {folder}/20260100_000000/vis_data/scalars.json: ')
    assert '9 lines that are no JSON object with a step (the first: line 1)' in told
    assert '1 texts in the place of numbers (the first: loss in line 11)' in told
    assert list(zip(log['key'], log['step'], log['value'])) == [
        ('loss', 1, 2), ('=a \ufffdb\ufffd', 2, 3), ('loss', 3, math.inf)]


@pytest.mark.parametrize('content', ['utf-16', 'latin-1', None])
def test_a_log_that_cannot_be_read_is_told_and_the_others_count(tmp_path, capsys, content):
    write_run(tmp_path, [line(1)], ['{"\u00e9": 1}'], [])
    _, odd, empty = sorted(tmp_path.glob('*/vis_data/scalars.json'))
    if content:
        odd.write_bytes(odd.read_text().encode(content))
    else:
        odd.unlink()
        odd.mkdir()
    assert curve(tmp_path) == [(1, 2)]
    told, = capsys.readouterr().err.splitlines()
    assert f'{odd}: ' in told and ('codec' in told or 'directory' in told)
    told = []
    logs.read_run(tmp_path, told.append)
    assert len(told) == 1 and not capsys.readouterr().err


def test_a_byte_order_mark_is_none_of_the_log(tmp_path, capsys):
    write_run(tmp_path, [line(1)])
    file, = tmp_path.glob('*/vis_data/scalars.json')
    file.write_bytes(b'\xef\xbb\xbf' + file.read_bytes())
    assert curve(tmp_path) == [(1, 2)] and not capsys.readouterr().err


def test_the_folder_of_one_start_is_no_work_directory(tmp_path):
    write_run(tmp_path / '\u00b2' / 'run', [line(1)])
    assert logs.find_runs(tmp_path / '\u00b2' / 'run' / '20260100_000000') == []
    assert logs.find_runs(tmp_path) == [tmp_path / '\u00b2' / 'run']
