import pytest

from .conftest import load_tool


@pytest.fixture(scope='module')
def tool():
    return load_tool('analysis_tools/plot_monitor.py')


def test_reads_what_the_hooks_have_logged(tool, make_runner, tmp_path):
    make_runner(**{'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2,
                   'default_hooks.gradients': dict(type='mmips.GradientMonitor')}).train()
    found = tool.main([str(tmp_path / 'run'), '--out', str(tmp_path / 'out')])
    assert set(found['run']) == {'run'}
    assert set(found[found['quantity'] == 'kd_grad']['epoch']) == {1, 2}
    assert found['quantity'].str.startswith('grad/').sum() == 15 * 2
    assert len(list((tmp_path / 'out').iterdir())) == 6


@pytest.mark.parametrize(('options', 'message'), [
    (['--names', 'a'], 'a name for each of the 2'), (['--names', 'a', 'a'], 'must differ'),
    (['--epochs', '3', '2'], '--epochs needs 1 <= A <= B, got 3 2'),
    ([], 'a holds no */vis_data/scalars.json: give the work directory'),
])
def test_wrong_use_ends_in_one_message(tool, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        tool.main(['a', 'b', '--out', 'out', *options])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and 'Traceback' not in error
