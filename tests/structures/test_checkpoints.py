"""What a checkpoint is, what is none, and that no code in one runs."""
import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

from mmips.errors import MissingFileError, UserError
from mmips.structures import checkpoints
from mmips.structures.checkpoints import as_data, load_any, load_file
from mmips.structures.state_dicts import read_checkpoint

STATE = dict(state_dict=dict(a=torch.ones(300)))


class Code:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture(params=['torch', 'old torch'])
def version(request, monkeypatch):
    """Before 2.5 torch cannot be told what is allowed beside weights."""
    if request.param == 'old torch':
        monkeypatch.delattr(torch.serialization, 'safe_globals')


@pytest.fixture
def attacks(tmp_path):
    """What would make the file 'run', in many ways."""
    target = str(tmp_path / 'run')
    return target, [
        Code(os.system, f'touch {target}'), Code(eval, f'open({target!r}, "w")'),
        Code(subprocess.Popen, ['touch', target]), Code(open, target, 'w'), Code(os.mkdir, target),
        Code(getattr, HistoryBuffer, '__init__'), Code(np.save, target, 1),
        Code(torch.load, target), OrderedDict(a=[Code(exec, f'open({target!r}, "w")')])]


@pytest.mark.parametrize('key, value', [
    (3, 1), ('a', torch.ones(2).to_sparse()), ('a', torch.ones(2, device='meta'))])
def test_what_is_no_ordinary_tensor_is_named(tmp_path, key, value):
    torch.save({'state_dict': {key: value}}, tmp_path / 'x.pth')
    with pytest.raises(UserError, match=f'x.pth holds {key!r}, which is no name of an ordinary'):
        load_file(str(tmp_path / 'x.pth'))


@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'x.pth')
    with pytest.raises(MissingFileError, match='x.pth does not exist'):
        load_file(str(tmp_path / 'x.pth'))


def test_code_in_a_file_does_not_run(tmp_path, attacks, version):
    target, objects = attacks
    path = str(tmp_path / 'x.pth')
    for each in objects:
        for content in (dict(STATE, meta=each), dict(state_dict=dict(a=each)), each):
            for save in (torch.save, lambda value, name: torch.save(
                    value, name, _use_new_zipfile_serialization=False)):
                save(content, path)
                with pytest.raises(UserError, match='x.pth holds more than data .*--trust-check'):
                    load_file(path)
                with as_data(), pytest.raises(UserError, match='x.pth holds more than data'):
                    CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
            with open(path, 'wb') as file:
                pickle.dump(content, file)
            with pytest.raises(UserError, match='x.pth (holds more|cannot be read)'):
                load_any(path)
    assert not os.path.exists(target)


def test_files_of_whom_one_trusts_may_hold_code(tmp_path, monkeypatch):
    torch.save(dict(STATE, meta=Code(os.mkdir, str(tmp_path / 'run'))), tmp_path / 'x.pth')
    monkeypatch.setenv(checkpoints.TRUST, '1')
    load_file(str(tmp_path / 'x.pth'))
    assert (tmp_path / 'run').is_dir()


def test_what_a_run_keeps_is_data(tmp_path, version):
    hub = MessageHub('test')
    for value in (1., torch.tensor(2.), np.float32(3.)):
        hub.update_scalar('train/loss', value)
    for number, value in enumerate((np.float64(1), np.bool_(True), np.str_('x'), np.int64(1),
                                    np.arange(3, dtype=np.uint8), {1}, (1, 'a'), None)):
        hub.update_info(str(number), value)
    torch.save(dict(STATE, message_hub=hub.state_dict()), tmp_path / 'x.pth')
    found = load_file(str(tmp_path / 'x.pth'))['message_hub']
    assert found['log_scalars']['train/loss'].mean() == 2
    assert found['runtime_info']['4'].tolist() == [0, 1, 2]


def test_mmengine_is_itself_again_afterwards(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    torch.save(dict(STATE, meta=dict(config='1 / 0')), tmp_path / 'x.pth')

    def load():
        return CheckpointLoader.load_checkpoint(str(tmp_path / 'x.pth'), 'cpu', logger='silent')

    with as_data():
        # A text that mmengine would run.
        assert os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] == '1' and load()['meta'] == {}
    assert os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] == '0'
    assert load()['meta'] == dict(config='1 / 0')


def damaged(tmp_path, how):
    path = tmp_path / 'x.pth'
    torch.save(STATE, path)
    content = path.read_bytes()
    place = content.index(np.ones(300, np.float32).tobytes())
    return {'cut': content[:len(content) // 2], 'damaged': (
        content[:place] + b'\1' + content[place + 1:])}[how]


@pytest.mark.parametrize('content, words', [
    (None, 'x.pth does not exist'),
    ('folder', 'x.pth is a folder, not a file'),
    (b'', 'x.pth is empty, as a broken download or a full disk leaves it'),
    (b'<!DOCTYPE html><html>', 'x.pth is a web page: download the file itself'),
    (b'version https://git-lfs.github.com/spec/v1\noid', 'by `git lfs pull`'),
    (b'no checkpoint', 'x.pth cannot be read as a checkpoint: '),
    (os.urandom(1000), 'x.pth cannot be read as a checkpoint: '),
    ('npz', 'x.pth cannot be read as a checkpoint: .* not in a subdirectory'),
    ('cut', 'x.pth is cut off, as a broken download or a full disk leaves it'),
    ('damaged', 'x.pth cannot be read as a checkpoint: ValueError: it is damaged, in x/data/0'),
    ([1, 2], 'x.pth is no checkpoint, but holds a list'),
    (dict(state_dict=[1]), 'x.pth has a state_dict of type list'),
    (dict(state_dict=dict(b=torch.ones(1), a=torch.tensor([1, float('nan')]))),
     'x.pth holds NaN or infinity in 1 of its tensors, the first is a: '),
    (dict(a=torch.tensor(float('-inf'))), 'holds NaN or infinity')])
def test_what_is_no_checkpoint_ends_in_one_sentence(tmp_path, content, words):
    path = tmp_path / 'x.pth'
    if content == 'folder':
        path.mkdir()
    elif content == 'npz':
        np.savez(path.with_suffix('.npz'), a=np.ones(3))
        path.with_suffix('.npz').rename(path)
    elif isinstance(content, (bytes, str)):
        path.write_bytes(damaged(tmp_path, content) if isinstance(content, str) else content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(MissingFileError if content is None else UserError, match=words) as error:
        load_file(str(path))
    assert str(error.value).endswith('.') and '\n' not in str(error.value)


def test_a_mask_may_hold_infinity(tmp_path):
    torch.save({'attn_mask': torch.tensor([0, -float('inf')])}, tmp_path / 'x.pth')
    assert load_file(str(tmp_path / 'x.pth'))['attn_mask'][0] == 0


def test_layouts_of_other_libraries(tmp_path):
    """timm's files, and what torchvision's training scripts leave."""
    state, paths = dict(a=torch.randn(3)), [str(tmp_path / name) for name in (
        'a.safetensors', 'b.pth')]
    save_file(state, paths[0])
    torch.save(dict(model=state, optimizer={}, epoch=3), paths[1])
    for path in paths:
        read, = read_checkpoint(path)['state_dict'].items()
        assert read[0] == 'a' and torch.equal(read[1], state['a'])
    Path(paths[0]).write_bytes(b'PK')
    with pytest.raises(UserError, match='a.safetensors is cut off'):
        load_file(paths[0])
