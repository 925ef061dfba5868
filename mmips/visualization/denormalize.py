# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""From a network's input back to pictures."""
from typing import Any

import numpy as np
from torch import Tensor

from mmips.config import sources

__all__ = ['denormalize', 'is_bgr']


def denormalize(inputs: Tensor, preprocessor: Any = None, bgr: bool = False) -> np.ndarray:
    """Undo a data preprocessor's normalisation.

    Args:
        inputs (Tensor): Images of shape (N, C, H, W), C = 1 or 3.
        preprocessor (nn.Module, optional): A data preprocessor, whose ``mean`` and
            ``std`` are undone if it has any. Defaults to None.
        bgr (bool): Whether the channels of ``inputs`` are blue, green, red.
            Defaults to False.

    Returns:
        np.ndarray: RGB pictures of shape (N, H, W, 3), uint8.

    Raises:
        ValueError: For another shape.
    """
    if inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        raise ValueError(f'Expected images of shape (N, 1 or 3, H, W), got {tuple(inputs.shape)}.')
    images = inputs.detach().float()
    if getattr(preprocessor, '_enable_normalize', False):
        images = images * preprocessor.std.to(images) + preprocessor.mean.to(images)
    if bgr:
        images = images.flip(1)
    images = images.round().clamp(0, 255).expand(-1, 3, -1, -1)
    return images.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)


def is_bgr(dataset: Any, preprocessor: Any = None) -> bool:
    """Whether a network sees blue, green, red: images read from files and never turned round.

    Args:
        dataset (dict): Config of its data set; of several in a wrapper the first counts.
        preprocessor (nn.Module, optional): Its data preprocessor. Defaults to None.
    """
    _, data = next(sources.iter_datasets(dataset, ''))
    steps = [sources.type_name(step) for step in data.get('pipeline') or ()]
    return 'LoadImageFromFile' in steps and not getattr(preprocessor, 'to_rgb', False)
