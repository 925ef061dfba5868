import re

import pytest
import torch
from torch import nn

from mmips.errors import UserError
from mmips.structures import state_dicts
from mmips.structures.state_dicts import choose_weights, compare, load_checked


@pytest.mark.parametrize('which, value, label', [
    ('auto', 1., 'ema'), ('ema', 1., 'ema'), ('raw', 2., 'raw')])
def test_weights_of_a_checkpoint_with_ema(which, value, label):
    checkpoint = dict(state_dict={'a': torch.ones(1)},
                      ema_state_dict={'steps': torch.tensor(3), 'module.a': 2 * torch.ones(1)})
    state, found = choose_weights(checkpoint, which)
    assert (float(state['a']), list(state), found) == (value, ['a'], label)


def test_weights_of_a_checkpoint_without_ema():
    checkpoint = dict(state_dict={'a': torch.ones(1)})
    assert choose_weights(checkpoint) == (checkpoint['state_dict'], '')
    wrapped = dict(state_dict={'module.a': checkpoint['state_dict']['a']})
    assert choose_weights(wrapped) == (checkpoint['state_dict'], '')
    for which in ('ema', 'raw'):
        with pytest.raises(UserError, match=f'--weights {which}: .* no ema_state_dict'):
            choose_weights(checkpoint, which)
    with pytest.raises(ValueError, match="'auto', 'ema' or 'raw', got 'best'"):
        choose_weights(checkpoint, 'best')
    half = dict(state_dict={'a': torch.ones(1), 'b': torch.ones(1)},
                ema_state_dict={'module.a': torch.ones(1)})
    with pytest.raises(UserError, match="lacks 1 of the 2 tensors, the first is 'module.b'"):
        choose_weights(half, 'raw')


def test_differences_are_sorted_by_kind():
    wanted = dict(a=torch.ones(2), b=torch.ones(3), counter=torch.tensor(1))
    assert not compare(wanted, dict(a=torch.zeros(2), b=torch.zeros(3)))
    found = compare(wanted, dict(b=torch.ones(4), c=torch.ones(1)))
    assert (found.missing, found.unexpected, len(found)) == (['a'], ['c'], 3)
    assert found.text('net').splitlines() == [
        '  1 missing in the file: a', '  1 unknown to the net: c',
        '  1 of another shape: b (4,) instead of (3,)']


@pytest.mark.parametrize('value', [torch.ones(1, dtype=torch.int32), torch.ones(1) * 1j, [1.]])
def test_weights_that_are_no_floats_are_refused(value):
    model = nn.Linear(1, 1)
    with pytest.raises(UserError, match='x.pth: bias should be a tensor of floating-point numbers'):
        load_checked(model, dict(weight=torch.ones(1, 1), bias=value), 'x.pth')


def test_reading_a_checkpoint(tmp_path):
    weight, path = torch.ones(1), str(tmp_path / 'x.pth')
    torch.save(dict(state_dict={'module.a': weight, 'name': 'text'}, epoch=3), path)
    assert state_dicts.read_checkpoint(path) == dict(state_dict={'module.a': weight}, epoch=3)
    assert state_dicts.read_state(path) == dict(a=weight)
    torch.save(dict(a=weight), path)
    assert state_dicts.read_checkpoint(path) == dict(state_dict=dict(a=weight))


@pytest.mark.parametrize('content', [{}, dict(state_dict=dict(a=1))])
def test_a_checkpoint_without_weights_is_refused(tmp_path, content):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(UserError, match='x.pth holds no weights. Give a .pth file that a training'):
        state_dicts.read_checkpoint(str(tmp_path / 'x.pth'))


class Net(nn.Module):
    """A backbone and a head; ``old`` is what its backbone's weight was called once."""

    def __init__(self, classes=2):
        super().__init__()
        self.backbone, self.head = nn.BatchNorm1d(3), nn.Linear(3, classes)
        self._register_load_state_dict_pre_hook(
            lambda state, *rest: state.update({
                key.replace('old', 'weight'): state.pop(key) for key in list(state)
                if key == 'backbone.old'}))


def test_a_model_takes_the_whole_file_or_says_what_differs():
    state = {key: value + 1 for key, value in Net().state_dict().items()}
    left_over = {**state, 'auxiliary.weight': torch.ones(1)}
    without_counter = {key: value for key, value in state.items() if 'num_batches' not in key}
    renamed = {key.replace('backbone.weight', 'backbone.old'): value
               for key, value in state.items()}
    for given in (state, left_over, without_counter, renamed):
        model = Net()
        assert load_checked(model, given, 'x.pth') == []
        assert torch.equal(model.head.bias, state['head.bias'])
        assert torch.equal(model.backbone.weight, state['backbone.weight'])
    for given, words in (
            ({}, '6 missing in the file: backbone.weight'),
            ({key: value for key, value in state.items() if 'bias' not in key},
             '2 missing in the file: backbone.bias, head.bias'),
            ({**state, 'backbone.deeper': torch.ones(1)}, '1 unknown to the config: backbone.dee'),
            (Net(4).state_dict(), r'head.weight \(4, 3\) instead of \(2, 3\)')):
        with pytest.raises(UserError, match='x.pth is not a checkpoint of this config') as error:
            load_checked(Net(), given, 'x.pth')
        assert re.search(words, str(error.value)), error.value


def test_allowed_parts_keep_what_they_had():
    model, given = Net(), Net(4).state_dict()
    before = model.head.weight.clone()
    assert load_checked(model, given, 'x.pth', ['head.*']) == ['head.bias', 'head.weight']
    assert torch.equal(model.head.weight, before)
    with pytest.raises(UserError, match='1 of another shape: head.weight'):
        load_checked(model, given, 'x.pth', ['head.bias'])
