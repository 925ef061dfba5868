# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""From a network's input back to pictures."""
from typing import Any

import numpy as np
from torch import Tensor


def denormalize(inputs: Tensor, preprocessor: Any = None, order: str = 'rgb') -> np.ndarray:
    """RGB pictures (N, H, W, 3), uint8, of images (N, 1 or 3, H, W), a network's inputs.

    ``mean`` and ``std`` of a data preprocessor are undone if it has any, and the order of colours.
    """
    if inputs.ndim != 4 or inputs.shape[1] not in (1, 3):
        raise ValueError(f'Expected images of shape (N, 1 or 3, H, W), got {tuple(inputs.shape)}.')
    images = inputs.detach().float()
    if getattr(preprocessor, '_enable_normalize', False):
        images = images * preprocessor.std.to(images) + preprocessor.mean.to(images)
    if order == 'bgr':
        images = images.flip(1)
    images = images.round().clamp(0, 255).expand(-1, 3, -1, -1)
    return images.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)
