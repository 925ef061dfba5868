# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Read the weights of a checkpoint, and compare them with those of a model."""
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmips.errors import UserError
from mmips.structures import checkpoints


def read_checkpoint(path: str) -> dict[str, Any]:
    """Read a checkpoint, or a bare state dict, onto the CPU; ``state_dict`` holds tensors alone.

    The file is read as data, see :mod:`mmips.structures.checkpoints`, which names what raises.
    """
    content = checkpoints.load_any(path)
    content = content if 'state_dict' in content else {'state_dict': content}
    state = {key: value for key, value in content['state_dict'].items()
             if isinstance(value, torch.Tensor)}
    if not state:
        raise UserError(f'{path} holds no weights. {checkpoints.ADVICE}')
    return {**content, 'state_dict': state}


def read_state(path: str) -> dict[str, Any]:
    """The tensors of a checkpoint, by the model's names."""
    return plain_names(read_checkpoint(path)['state_dict'])


def plain_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict by the model's own names, without those of what distributes it."""
    return {key.removeprefix('module.'): value for key, value in state.items()}


def choose_weights(checkpoint: Mapping, which: str = 'auto') -> tuple[dict[str, Any], str]:
    """The 'ema' or 'raw' weights, or with 'auto' what ``state_dict`` holds, and which those are.

    mmengine's ``EMAHook`` swaps the two when it saves: ``state_dict`` is the average, and
    ``ema_state_dict`` holds the raw weights as ``module.<key>``. Without it which is ''.
    """
    if which not in ('auto', 'ema', 'raw'):
        raise ValueError(f"weights must be 'auto', 'ema' or 'raw', got {which!r}")
    state, other = plain_names(checkpoint['state_dict']), checkpoint.get('ema_state_dict')
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


def load_checked(model: nn.Module, state: Mapping[str, Any], name: str, allow: Sequence[str] = ()
                 ) -> list[str]:
    """Load a state dict of which nothing may be missing or left over; returns what was allowed to.

    Parts that the model has not at all, as the head of a bare backbone, may be left over. Whatever
    the model's own parts do to old names and sizes is done. ``name`` is the file's in the
    message, ``allow`` names tensors that may differ, ``*`` stands for anything.

    Raises:
        UserError: With the first names, unless it is exactly the model's.
    """
    own = model.state_dict()
    parts = {key.partition('.')[0] for key in own}
    given = {key: value for key, value in state.items() if key.partition('.')[0] in parts}
    excepted = {key for pattern in allow for key in fnmatch.filter([*own, *given], pattern)}
    kept = {key: value for key, value in own.items()
            if key in excepted or key not in given and not value.is_floating_point()}
    given = {key: value for key, value in given.items() if key not in excepted}
    # torch would round them, or take the real part.
    odd = [key for key, value in given.items() if key in own and own[key].is_floating_point()
           and not (isinstance(value, torch.Tensor) and value.is_floating_point())]
    if odd:
        raise UserError(f'{name}: {odd[0]} should be a tensor of floating-point numbers, but is of '
                        f'type {getattr(given[odd[0]], "dtype", type(given[odd[0]]).__name__)}. '
                        f'{checkpoints.ADVICE}')
    try:
        model.load_state_dict({**given, **kept})
    except RuntimeError as error:
        found = compare({key: own[key] for key in own if key not in kept}, given)
        raise UserError(f'{name} is not a checkpoint of this config (another network, or another '
                        f'number of classes). Of its tensors are\n{found.text("config")}'
                        ) from error
    return sorted(excepted & own.keys())
