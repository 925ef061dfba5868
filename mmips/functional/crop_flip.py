# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Random crop with padding and horizontal flip of a whole batch."""
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def crop_flip(images: Tensor, offsets: Tensor, mirrored: Tensor, padding: int,
              size: Sequence[int]) -> Tensor:
    """Pad with zeros, cut out a rectangle at an offset, then mirror some left and right.

    What mmpretrain's ``RandomCrop(size, padding)`` and ``RandomFlip`` do to each image with these
    draws, bit for bit, in a few kernels for the batch.

    Args:
        images (Tensor): (N, C, H, W) of any dtype and device; quicker if channels come last in
            memory.
        offsets (Tensor): Row and column of the cut in the padded image, int64 (N, 2), on the
            device of ``images``.
        mirrored (Tensor): Numbers of the images to mirror, int64 (M,), on the same device.
        padding (int): Pixels on every side.
        size (Sequence[int]): Height and width of the cut.

    Returns:
        Tensor: (N, C, *size), channels last in memory.
    """
    height, width = size
    padded = F.pad(images.permute(0, 2, 3, 1), (0, 0, *[padding] * 4)).contiguous()
    number, tall, wide, channels = padded.shape
    image, row, pixel, _ = padded.stride()
    # Every place of the cut as a view, of which one an image is copied by whole rows.
    cuts = padded.as_strided((number, tall - height + 1, wide - width + 1, height,
                              width * channels), (image, row, pixel, row, 1))
    batch = torch.arange(number, device=images.device)
    cut = cuts[batch, offsets[:, 0], offsets[:, 1]].view(number, height, width, channels)
    cut[mirrored] = cut[mirrored].flip(2)
    return cut.permute(0, 3, 1, 2)
