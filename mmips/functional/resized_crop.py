# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Crops that are resized, as mmpretrain's transforms cut and OpenCV scales them."""
import math

import numpy as np
import torch.nn.functional as F
from torch import Tensor

#: Top, left, height and width of a cut.
Box = tuple[int, int, int, int]


def random_box(height: int, width: int, draws: np.ndarray, area: tuple[float, float],
               aspect: tuple[float, float]) -> Box:
    """The cut of mmpretrain's ``RandomResizedCrop``, its draws given.

    Args:
        height (int): Height of the image, in pixels.
        width (int): Width of the image, in pixels.
        draws (ndarray): Uniform in [0, 1), (A, 4): of each attempt the area, the aspect ratio,
            the row and the column. Where no attempt fits, the cut is the central one.
        area (tuple[float, float]): Range of the cut's share of the image.
        aspect (tuple[float, float]): Range of its width divided by its height.

    Returns:
        tuple[int, int, int, int]: Top, left, height and width.
    """
    low, high = map(math.log, aspect)
    for share, log_ratio, row, column in draws.tolist():
        pixels = (area[0] + (area[1] - area[0]) * share) * height * width
        ratio = math.exp(low + (high - low) * log_ratio)
        wide, tall = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            return (int(row * (height - tall + 1)), int(column * (width - wide + 1)), tall, wide)
    wide, tall = width, height
    if width / height < aspect[0]:
        tall = round(width / aspect[0])
    elif width / height > aspect[1]:
        wide = round(height * aspect[1])
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """Scale bilinearly without smoothing, as OpenCV's ``INTER_LINEAR`` does.

    Args:
        image (Tensor): uint8 (C, H, W).
        height (int): New height, in pixels.
        width (int): New width, in pixels.

    Returns:
        Tensor: uint8 (C, height, width), within 1 of OpenCV's.
    """
    # Floats, since CUDA scales no bytes.
    scaled = F.interpolate(image[None].float(), (height, width), mode='bilinear',
                           align_corners=False)
    return scaled[0].add_(0.5).to(image.dtype)


def resize_short_edge(image: Tensor, edge: int) -> Tensor:
    """Scale so that the shorter edge has ``edge`` pixels, as mmpretrain's ``ResizeEdge``."""
    height, width = image.shape[1:]
    if width < height:
        return resize(image, int(edge * height / width), edge)
    return resize(image, edge, int(edge * width / height))


def centre_crop(image: Tensor, size: int) -> Tensor:
    """The square in the middle, as mmcv's ``CenterCrop``; the image is no smaller."""
    top, left = (round((length - size) / 2) for length in image.shape[1:])
    return image[:, top:top + size, left:left + size]
