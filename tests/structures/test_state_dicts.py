import pytest
import torch

from mmips.errors import MissingFileError, UserError
from mmips.structures import state_dicts
from mmips.structures.state_dicts import choose_weights, compare


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


def test_reading_a_checkpoint(tmp_path):
    weight, path = torch.ones(1), str(tmp_path / 'x.pth')
    torch.save(dict(state_dict={'module.a': weight, 'name': 'text'}, epoch=3), path)
    assert state_dicts.read_checkpoint(path) == dict(state_dict={'module.a': weight}, epoch=3)
    assert state_dicts.read_state(path) == dict(a=weight)
    torch.save(dict(a=weight), path)
    assert state_dicts.read_checkpoint(path) == dict(state_dict=dict(a=weight))


@pytest.mark.parametrize('content, words', [
    (None, 'cannot be read as a checkpoint: FileNotFoundError'),
    (b'no checkpoint', 'cannot be read as a checkpoint: '),
    ([1, 2], 'cannot be read as a checkpoint: AttributeError'),
    ({}, 'holds no weights'), (dict(state_dict=dict(a=1)), 'holds no weights')])
def test_what_is_no_checkpoint_ends_in_one_sentence(tmp_path, content, words):
    path = tmp_path / 'x.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(MissingFileError if content is None else UserError, match=words) as error:
        state_dicts.read_checkpoint(str(path))
    assert str(error.value).endswith('Give a .pth file that a training run has saved.')
