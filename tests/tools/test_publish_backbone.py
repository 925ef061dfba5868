from pathlib import Path

import pytest
import torch
from helpers.tools import load_tool


@pytest.fixture(scope='module')
def publish():
    return load_tool('model_converters/publish_backbone.py').main


@pytest.fixture
def checkpoint():
    torch.save(dict(state_dict={'backbone.x': torch.ones(3), 'head.x': torch.ones(1)}), 'run.pth')
    return 'run.pth'


def test_publishes_and_says_so(publish, checkpoint, capsys):
    path = publish([checkpoint, 'out/', '--top1', '70'])
    said = capsys.readouterr().out
    assert 'kept      backbone 1 tensors' in said and 'top-1     70.0 % (option)' in said
    assert torch.load(path)['state_dict'].keys() == {'backbone.x'}


@pytest.mark.parametrize('argv, words', [
    (['absent.pth', 'out/'], 'absent.pth does not exist. Give a .pth'),
    (['run.pth', 'out/', '--top1', '0.7e3'], '--top1 must be per cent'),
    (['run.pth', 'run.pth/x/y'], 'run.pth'),
])
def test_wrong_input_is_one_message(publish, checkpoint, argv, words, capsys):
    with pytest.raises(SystemExit) as caught:
        publish(argv)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert words in message and 'Traceback' not in message
    assert not Path('out').exists()
