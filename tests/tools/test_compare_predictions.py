import pytest

from mmips.evaluation import segdet

from .conftest import load_tool

ARGV = ['c.py', 'a/one/epoch_1.pth', '/b/two/epoch_1.pth', '--out', 'out']


@pytest.fixture(scope='module')
def tool():
    return load_tool('visualization/compare_predictions.py')


@pytest.mark.parametrize('options, expected', [
    ([], dict(baseline='one/epoch_1', split='test', images=None, num=4, score_thr=.3)),
    (['--baseline', 'two/epoch_1', '--split', 'val', '--images', '3', '1', '--score-thr', '.5'],
     dict(baseline='two/epoch_1', split='val', images=[3, 1], score_thr=.5))])
def test_the_command_line_is_handed_over(tool, monkeypatch, options, expected):
    real, given = segdet.compare_predictions, {}
    names = real.__code__.co_varnames[:real.__code__.co_argcount]
    monkeypatch.setattr(segdet, 'compare_predictions',
                        lambda *args: given.update(zip(names, args)))
    tool.main([*ARGV, *options])
    assert given['checkpoints'] == {'one/epoch_1': ARGV[1], 'two/epoch_1': ARGV[2]}
    assert {key: given[key] for key in expected} == expected


@pytest.mark.parametrize('options, message', [
    (['--baseline', 'b'], "--baseline must be one of ['one/epoch_1', 'two/epoch_1'], got 'b'"),
    (['--num', '0'], '--num must be at least 1, got 0'),
    ([], "There is no config file 'c.py'")])
def test_wrong_use_ends_in_one_message(tool, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        tool.main([*ARGV, *options])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and 'Traceback' not in error
