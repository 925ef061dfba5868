# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Read the weights of a checkpoint, and compare them with those of a model."""
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mmips.errors import MissingFileError, UserError


def read_checkpoint(path: str) -> dict[str, Any]:
    """Read a checkpoint, or a bare state dict, onto the CPU; ``state_dict`` holds tensors alone.

    It unpickles Python objects, as every tool of OpenMMLab does: read only files that you trust.
    """
    from mmengine.runner import CheckpointLoader
    advice = 'Give a .pth file that a training run has saved.'
    try:
        content = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
        content = content if 'state_dict' in content else {'state_dict': content}
        state = {key: value for key, value in content['state_dict'].items()
                 if isinstance(value, torch.Tensor)}
    except Exception as error:  # Whatever a file that is no checkpoint makes of itself.
        kind = MissingFileError if isinstance(error, FileNotFoundError) else UserError
        raise kind(f'{path} cannot be read as a checkpoint: {type(error).__name__}: {error}. '
                   f'{advice}') from error
    if not state:
        raise UserError(f'{path} holds no weights. {advice}')
    return {**content, 'state_dict': state}


def read_state(path: str) -> dict[str, Any]:
    """The tensors of a checkpoint, by the model's names."""
    return {re.sub(r'^module\.', '', key): value
            for key, value in read_checkpoint(path)['state_dict'].items()}


def choose_weights(checkpoint: Mapping, which: str = 'auto') -> tuple[dict[str, Any], str]:
    """The 'ema' or 'raw' weights, or with 'auto' what ``state_dict`` holds, and which those are.

    mmengine's ``EMAHook`` swaps the two when it saves: ``state_dict`` is the average, and
    ``ema_state_dict`` holds the raw weights as ``module.<key>``. Without it which is ''.
    """
    if which not in ('auto', 'ema', 'raw'):
        raise ValueError(f"weights must be 'auto', 'ema' or 'raw', got {which!r}")
    state, other = dict(checkpoint['state_dict']), checkpoint.get('ema_state_dict')
    if not other:
        if which != 'auto':
            raise UserError(f'--weights {which}: the checkpoint has no ema_state_dict, so it was '
                            'trained without EMAHook or is published already, and holds one set '
                            'of weights. Leave --weights out.')
        return state, ''
    if which != 'raw':
        return state, 'ema'
    lost = [key for key in state if f'module.{key}' not in other]
    if lost:
        raise UserError(f'--weights raw: ema_state_dict lacks {len(lost)} of the {len(state)} '
                        f'tensors, the first is {"module." + lost[0]!r}.')
    return {key: other[f'module.{key}'] for key in state}, 'raw'


@dataclass(frozen=True)
class Differences:
    """Names of the tensors by which a file and a model differ; false where there are none."""

    missing: list[str]
    unexpected: list[str]
    #: Name -> '(shape in the file) instead of (shape in the model)'.
    reshaped: dict[str, str]
    #: Of another value, where that was asked for.
    changed: list[str]

    def __len__(self) -> int:
        return sum(map(len, (self.missing, self.unexpected, self.reshaped, self.changed)))

    def text(self, model: str) -> str:
        """A line for each kind with its first names; ``model`` says whose the wanted ones are."""
        reshaped = [f'{key} {shapes}' for key, shapes in self.reshaped.items()]
        kinds = {'missing in the file': self.missing, f'unknown to the {model}': self.unexpected,
                 'of another shape': reshaped, 'of another value than in the file': self.changed}
        return '\n'.join(
            f'  {len(keys)} {kind}: {", ".join(keys[:3])}{" ..." if len(keys) > 3 else ""}'
            for kind, keys in kinds.items() if keys)


def compare(wanted: Mapping[str, Any], given: Mapping[str, Any],
            values: bool = False) -> Differences:
    """Compare a model's state dict with a file's; counters (no floats) may be missing."""
    shared = {key: (value, given[key]) for key, value in wanted.items() if key in given}
    reshaped = {key: f'{tuple(theirs.shape)} instead of {tuple(ours.shape)}'
                for key, (ours, theirs) in shared.items() if ours.shape != theirs.shape}
    return Differences(
        [key for key, value in wanted.items() if key not in given and value.is_floating_point()],
        [key for key in given if key not in wanted], reshaped,
        [key for key, (ours, theirs) in shared.items() if values and key not in reshaped
         and not torch.equal(ours.cpu(), theirs.to(ours.dtype))])


def check_state(path: str, state: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise a UserError, with file and first keys, unless a file has exactly a model's weights."""
    found = compare(wanted, state)
    if found:
        raise UserError(f'{path} is not a checkpoint of this config (another network, or '
                        'another number of classes). Of its tensors are\n' + found.text('config'))
