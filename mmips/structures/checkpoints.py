# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Read the files of checkpoints as data: code in them is never run.

A pickle can name any function to be called while it is read. torch's own reader for weights calls
none but those that it is told of, which here are those of what mmengine stores.
"""
import codecs
import contextlib
import os
import os.path as osp
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from mmips.errors import MissingFileError, UserError, explained

#: Set to 1, by ``--trust-checkpoint``, this variable lets the code in a file run.
TRUST = 'MMIPS_TRUST_CHECKPOINT'
# torch's own: nothing is unpickled, whatever the caller says.
_FORCE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
#: What to do about a file that is no checkpoint.
ADVICE = 'Give a .pth file that a training run has saved.'
# How files begin that are taken for checkpoints.
_STRANGERS = {b'version https://git-lfs': 'is the pointer of a file in Git LFS: fetch that by '
                                          '`git lfs pull`',
              b'<': 'is a web page: download the file itself'}


def trusted() -> bool:
    """Whether the user vouches for the files."""
    return os.environ.get(TRUST, '0') != '0'


def load_file(filename: str, map_location: Any = None) -> Any:
    """What ``torch.load`` makes of a file on this machine, weights that are numbers.

    Files of safetensors are read too, and what torchvision's and others' training scripts call
    ``model`` is a ``state_dict``.

    Raises:
        UserError: For anything but a checkpoint, and for NaN or infinity in its weights.
    """
    path = osp.expanduser(filename)
    try:
        if not osp.isfile(path):  # A named pipe would never end.
            raise FileNotFoundError
        # torch does not look at the checksums, and would take damaged weights as they are.
        if zipfile.is_zipfile(path) and (part := zipfile.ZipFile(path).testzip()):
            raise ValueError(f'it is damaged, in {part}')
        with _allowed() as options:
            content = _read_safetensors(path) if path.endswith('.safetensors') else torch.load(
                path, map_location=map_location,
                **(dict(weights_only=False) if trusted() else options))
    except Exception as error:  # Whatever a file that is no checkpoint makes of itself.
        kind = MissingFileError if isinstance(error, FileNotFoundError) else UserError
        raise kind(f'{filename} {_what_is_wrong(path, error)}') from error
    if not isinstance(content, Mapping):
        raise UserError(f'{filename} is no checkpoint, but holds a {type(content).__name__}. '
                        f'{ADVICE}')
    if 'state_dict' not in content and isinstance(content.get('model'), Mapping):
        content = {**content, 'state_dict': content['model']}
    for state in (content.get('state_dict', content), content.get('ema_state_dict') or {}):
        _check_finite(filename, state)
    return content


def _read_safetensors(path: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file as read  # Which timm brings, an extra of ours.
    return read(path)


@contextlib.contextmanager
def as_data() -> Iterator[None]:
    """Have mmengine, and with it every ``init_cfg``, read files by :func:`load_file` meanwhile."""
    from mmengine.runner.checkpoint import CheckpointLoader, load_from_local
    CheckpointLoader.register_scheme('', load_from_disk, force=True)
    try:
        with _forced():
            yield
    finally:
        CheckpointLoader.register_scheme('', load_from_local, force=True)


def load_any(path: str) -> Any:
    """What a file holds, or what mmengine fetches from ``https://`` and the like, on the CPU."""
    from mmengine.runner.checkpoint import CheckpointLoader
    if '://' not in path:
        return load_file(path, 'cpu')
    with _forced(), explained(f'{path} cannot be read'):
        return CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')


def load_from_disk(filename: str, map_location: Any = None) -> Any:
    """:func:`load_file` for mmengine, which names a loader by what follows ``load_from_``."""
    content = load_file(filename, map_location)
    if isinstance(meta := content.get('meta'), dict):
        # mmengine would run this text as Python, to compare the GPUs of an old version.
        meta.pop('config', None)
    return content


@contextlib.contextmanager
def _forced() -> Iterator[None]:
    before = os.environ.pop(_FORCE, None)
    try:
        with _allowed() as options:
            if options['weights_only'] and not trusted():
                os.environ[_FORCE] = '1'
            yield
    finally:
        os.environ.pop(_FORCE, None)
        os.environ.update({_FORCE: before} if before is not None else {})


@contextlib.contextmanager
def _allowed() -> Iterator[dict[str, Any]]:
    """Arguments of ``torch.load`` by which it calls nothing but what it may."""
    safe_globals = getattr(torch.serialization, 'safe_globals', None)
    if safe_globals is None:  # torch before 2.5
        yield dict(weights_only=False, pickle_module=SimpleNamespace(
            __name__='names in a list',
            Unpickler=_Unpickler, load=lambda file, **rest: _Unpickler(file, **rest).load()))
        return
    with safe_globals(_what_runs_keep()):
        yield dict(weights_only=True)


class _Unpickler(pickle.Unpickler):
    """Does for an old torch what that cannot: names are looked up in a list."""

    def find_class(self, module: str, name: str) -> Any:
        parts = [*_what_runs_keep(), OrderedDict, torch.Size, torch.device, set, codecs.encode,
                 torch._utils._rebuild_tensor_v2, torch._utils._rebuild_parameter]
        known = {key: part for part, key in (
            part if isinstance(part, tuple) else (part, f'{part.__module__}.{part.__qualname__}')
            for part in parts)}
        key = f'{module.replace("__builtin__", "builtins")}.{name}'
        if key in known:
            return known[key]
        if module == 'torch' and name.endswith('Storage'):
            return getattr(torch, name)
        raise pickle.UnpicklingError(f'unsupported GLOBAL {module}.{name}')


def _what_runs_keep() -> list[Any]:
    """What mmengine's message hub holds: histories of scalars, and NumPy's numbers."""
    from mmengine.logging import HistoryBuffer
    multiarray = (np._core if hasattr(np, '_core') else np.core).multiarray
    functions = [(getattr(multiarray, name), f'numpy.{core}.multiarray.{name}')
                 for name in ('_reconstruct', 'scalar') for core in ('core', '_core')]
    kinds = [getattr(np.dtypes, name) for name in np.dtypes.__all__ if name != 'ObjectDType']
    return [HistoryBuffer, (_statistic, 'builtins.getattr'), *functions, np.ndarray, np.dtype,
            *kinds]


def _statistic(owner: Any, name: str) -> Any:
    """In place of ``getattr``, by which a history of scalars names its own functions."""
    from mmengine.logging import HistoryBuffer
    if owner is not HistoryBuffer or name.startswith('_'):
        raise ValueError(f'getattr({owner}, {name!r})')
    return getattr(owner, name)


def _what_is_wrong(path: str, error: Exception) -> str:
    """The predicate of a sentence about a file that cannot be read."""
    if not osp.isfile(path):
        return f'{"is a folder, not a file" if osp.isdir(path) else "does not exist"}. {ADVICE}'
    with open(path, 'rb') as file:
        start = file.read(64).lstrip()
    if not start:
        return f'is empty, as a broken download or a full disk leaves it. {ADVICE}'
    for sign, problem in _STRANGERS.items():
        if start.startswith(sign):
            return f'{problem}.'
    if start.startswith(b'PK') and not zipfile.is_zipfile(path):
        return f'is cut off, as a broken download or a full disk leaves it. {ADVICE}'
    text = str(error).partition('WeightsUnpickler error:')[2].strip() or str(error).strip()
    if code := re.search(r'GLOBAL (\S+)|function (.+)|getattr\(.*\)|build .* but got (.+)', text):
        return (f'holds more than data ({next(filter(None, [*code.groups(), code[0]]))}), which '
                'could be any code: train it anew, or, if you trust whoever made it, have it read '
                'all the same with --trust-checkpoint.')
    return (f'cannot be read as a checkpoint: {type(error).__name__}: '
            f'{(text.splitlines() or ["no reason given"])[0][:200]}. {ADVICE}')


def _check_finite(name: str, state: Any) -> None:
    if not isinstance(state, Mapping):
        raise UserError(f'{name} has a state_dict of type {type(state).__name__}. {ADVICE}')
    odd = [key for key, value in state.items() if not isinstance(key, str) or isinstance(
        value, torch.Tensor) and (value.is_meta or value.layout is not torch.strided)]
    if odd:
        raise UserError(f'{name} holds {odd[0]!r}, which is no name of an ordinary tensor. '
                        f'{ADVICE}')
    # A mask of attention may hold infinity on purpose.
    bad = [key for key, value in state.items()
           if isinstance(value, torch.Tensor) and value.is_floating_point()
           and not str(key).endswith('mask') and not value.isfinite().all()]
    if bad:
        raise UserError(f'{name} holds NaN or infinity in {len(bad)} of its tensors, the first is '
                        f'{bad[0]}: the run had diverged. Take an earlier checkpoint, or train '
                        'anew with a lower learning rate.')
