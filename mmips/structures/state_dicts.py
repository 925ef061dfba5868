# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Read the weights of a checkpoint, and compare them with those of a model."""
import re
from collections.abc import Mapping
from typing import Any

__all__ = ['check_state', 'read_state']


def read_state(path: str) -> dict:
    """The tensors of a checkpoint, by the model's names.

    Raises:
        ValueError: The file holds none.
    """
    from mmengine.runner import CheckpointLoader
    from torch import Tensor
    try:
        content = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
        content = content.get('state_dict', content)
        state = {re.sub(r'^module\.', '', key): value for key, value in content.items()
                 if isinstance(value, Tensor)}
    except Exception as error:  # Whatever a file that is no checkpoint makes of itself.
        raise ValueError(f'{path} cannot be read as a checkpoint: {type(error).__name__}: '
                         f'{error}') from error
    if not state:
        raise ValueError(f'{path} holds no weights. Give a .pth file that a training run has '
                         'saved.')
    return state


def check_state(path: str, state: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise unless a checkpoint has exactly the model's weights.

    Raises:
        ValueError: It names the file and the first keys of each kind.
    """
    problems = {
        'missing in the file': [key for key, value in wanted.items()
                                if key not in state and value.is_floating_point()],
        'unknown to the config': [key for key in state if key not in wanted],
        'of another shape': [
            f'{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}'
            for key, value in wanted.items() if key in state and state[key].shape != value.shape],
    }
    found = [f'  {len(keys)} {kind}: {", ".join(keys[:3])}{" ..." if len(keys) > 3 else ""}'
             for kind, keys in problems.items() if keys]
    if found:
        raise ValueError(f'{path} is not a checkpoint of this config (another network, or '
                         'another number of classes). Of its tensors are\n' + '\n'.join(found))
