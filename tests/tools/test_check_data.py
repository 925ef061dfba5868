import json

import mmips

from .conftest import load_tool


def test_the_exit_status_says_whether_all_is_right(npz, capsys):
    tool = load_tool('misc/check_data.py')
    config = mmips.cfg('ips/resnet-s_ips_npz.py')
    assert tool.main([config, '--json', 'new/out.json', '--workers', '0']) == 0
    out = capsys.readouterr().out
    assert 'train: 24 images' in out and out.endswith('and nothing is wrong with it.\n')
    with open('new/out.json') as file:
        assert json.load(file)['splits']['train']['counts'] == {str(k): 6 for k in range(4)}
    assert tool.main([config, '--cfg-options', 'load_from=gone.pth']) == 1
    assert capsys.readouterr().out.endswith('\nSomething is missing or wrong, see above.\n')
