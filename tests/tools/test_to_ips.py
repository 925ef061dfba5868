import pytest

from mmips.config import equal_cost
from mmips.config.loading import load_config

from .conftest import load_tool


def test_a_config_is_written_and_shown(capsys, monkeypatch):
    main = load_tool('misc/to_ips.py').main
    name = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'
    main([name, 'mine.py', '--grid-size', '4', '--prob', '0.3', '--alpha', '2'])
    with open('mine.py') as file:
        assert capsys.readouterr().out == file.read()
    model = load_config('mine.py').model
    swap, = model.train_cfg.augments
    assert (swap.grid_size, swap.prob, model.alpha) == (4, 0.3, 2.0)
    with pytest.raises(SystemExit, match='2'):
        main([name, 'mine.py'])
    assert 'must be a new file' in capsys.readouterr().err
    monkeypatch.setattr(equal_cost, 'table', lambda: '| all |\n')
    main(['--table'])
    assert capsys.readouterr().out == '| all |\n'


@pytest.mark.parametrize('argv', [[], ['x.py'], ['x.py', 'y.py', '--table']])
def test_half_a_command_is_refused(argv, capsys):
    with pytest.raises(SystemExit):
        load_tool('misc/to_ips.py').parse_args(argv)
    assert 'give CONFIG and OUT, or --table alone' in capsys.readouterr().err
