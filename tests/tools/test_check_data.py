import json

import pytest

import mmips
from mmips.config import check_data

from .conftest import load_tool


@pytest.fixture(scope='module')
def tool():
    return load_tool('misc/check_data.py')


def test_the_exit_status_says_whether_all_is_right(tool, npz, capsys):
    config = mmips.cfg('ips/resnet-s_ips_npz.py')
    assert tool.main([config, '--json', 'new/out.json', '--workers', '0']) == 0
    out = capsys.readouterr().out
    assert 'train: 24 images' in out and out.endswith('and nothing is wrong with it.\n')
    with open('new/out.json') as file:
        assert json.load(file)['splits']['train']['counts'] == {str(k): 6 for k in range(4)}
    assert tool.main([config, '--cfg-options', 'load_from=gone.pth']) == 1
    assert capsys.readouterr().out.endswith('\nSomething is missing or wrong, see above.\n')


def test_ctrl_c_is_one_line(tool, npz, capsys, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(check_data, 'inspect_config', interrupt)
    assert tool.main([mmips.cfg('ips/resnet-s_ips_npz.py')]) == 130
    assert capsys.readouterr().err == '\nInterrupted.\n'
