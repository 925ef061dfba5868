# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Random crop with padding and horizontal flip of a whole batch."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def crop_flip(images: Tensor, offsets: Tensor, flip: Tensor, padding: int,
              size: Sequence[int]) -> Tensor:
    """Pad with zeros, cut out a rectangle at an offset, then mirror left and right.

    What mmpretrain's ``RandomCrop(size, padding)`` and ``RandomFlip`` do to each image with these
    draws, bit for bit, in two kernels for the batch.

    Args:
        images (Tensor): (N, C, H, W) of any dtype and device.
        offsets (Tensor): Row and column of the cut in the padded image, int64 (N, 2), on the
            device of ``images``.
        flip (Tensor): Which images to mirror, bool (N,), on the same device.
        padding (int): Pixels on every side.
        size (Sequence[int]): Height and width of the cut.

    Returns:
        Tensor: (N, C, *size), channels last in memory.
    """
    height, width = size
    device = images.device
    rows = torch.arange(height, device=device) + offsets[:, :1]
    cols = torch.arange(width, device=device).expand(len(images), -1)
    cols = torch.where(flip[:, None], width - 1 - cols, cols) + offsets[:, 1:]
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, *[padding] * 4))
    batch = torch.arange(len(images), device=device)
    return padded[batch[:, None, None], rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)
