# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Swap grid patches between the two images of every pair (IPS, Section 3.2)."""

import numpy as np
import torch
from torch import Tensor

from mmips.structures import check_even, split_pairs

__all__ = ['cell_edges', 'draw_patch_mask', 'swap_patches']

# Integers of the same width: bits are exchanged, never rounded, whatever the dtype.
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

# On the CPU a cell of so many bytes is worth a slice of its own; below that, masked arithmetic
# on the whole batch is quicker. Measured with benchmarks/run.py swap.
_SLICE_BYTES = 4096


def cell_edges(size: int, cells: int) -> list[int]:
    """Borders of ``cells`` cells along an axis of ``size`` pixels.

    Cell i covers pixels edges[i] to edges[i + 1]; sizes differ by at most one pixel and
    every pixel belongs to exactly one cell.

    Args:
        size (int): Length of the axis in pixels.
        cells (int): Number of cells, at most ``size``.

    Returns:
        list[int]: ``cells + 1`` borders, the first 0, the last ``size``.

    Raises:
        ValueError: If there would be an empty cell.
    """
    if not 1 <= cells <= size:
        raise ValueError(f'Cannot cut {size} pixels into {cells} cells: grid_size counts cells, '
                         f'not pixels, and must be between 1 and {size} here.')
    return [i * size // cells for i in range(cells + 1)]


def draw_patch_mask(num_pairs: int,
                    grid_size: tuple[int, int],
                    prob: float,
                    min_patches: int = 1,
                    max_patches: int | None = None,
                    *,
                    rng: np.random.Generator) -> Tensor:
    """Draw which cells each pair exchanges.

    A pair takes part with probability ``prob``. One that does exchanges k cells, k uniform
    in [min_patches, max_patches] and the k cells uniform among all (IPS, Section 3.2:
    "at least one patch"; the upper bound is inferred).

    Args:
        num_pairs (int): Number of pairs P.
        grid_size (tuple[int, int]): Rows and columns of the grid.
        prob (float): Probability p_r that a pair is swapped.
        min_patches (int): Smallest k. Default: 1.
        max_patches (int, optional): Largest k. Default: all cells but one, since
            exchanging all of them only renames the images.
        rng (np.random.Generator): Source of randomness.

    Returns:
        Tensor: Bool, shape (P, rows, cols), on the CPU.
    """
    rows, cols = grid_size
    cells = rows * cols
    max_patches = cells - 1 if max_patches is None else max_patches
    # Ranking uniform numbers gives a uniform subset for every k without a loop over pairs.
    rank = rng.random((num_pairs, cells)).argsort(1).argsort(1)
    count = rng.integers(min_patches, max_patches + 1, (num_pairs, 1))
    swap = rng.random((num_pairs, 1)) < prob
    return torch.from_numpy((rank < count) & swap).view(num_pairs, rows, cols)


def swap_patches(x: Tensor, mask: Tensor, inplace: bool = False) -> Tensor:
    """Exchange the marked cells between the two images of every pair.

    The swap is its own inverse and moves bits, so any dtype comes out exact. It never
    synchronises host and device and records no gradient.

    Args:
        x (Tensor): Images of shape (2P, C, H, W), pairs interleaved
            (:mod:`mmips.structures.pairs`), any dtype (complex128 aside), device and memory format.
        mask (Tensor): Bool of shape (P, rows, cols): the cells to exchange. Give it on the
            device of ``x``. Sizes that the grid does not divide are cut by
            :func:`cell_edges`.
        inplace (bool): Write into ``x`` and return it. Default: False, which leaves ``x`` alone.

    Returns:
        Tensor: The swapped images; shape, dtype, device and memory format of ``x``.

    Raises:
        ValueError: For shapes that do not fit.
        TypeError: For a mask that is not boolean, and images of complex128.
    """
    _check(x, mask)
    out = x.detach() if inplace else x.detach().clone()
    edges = [cell_edges(*sizes) for sizes in zip(x.shape[2:], mask.shape[1:])]
    bits = out.view(_BITS[out.element_size()])
    if x.device.type == 'cpu' and bits[0].nbytes >= _SLICE_BYTES * mask[0].numel():
        _swap_slices(bits, mask, *edges)
    else:
        _swap_bits(bits, mask)
    return x if inplace else out


def _check(x: Tensor, mask: Tensor) -> None:
    if x.ndim != 4:
        raise ValueError(f'swap_patches expects images (N, C, H, W), but got {tuple(x.shape)}.')
    check_even(len(x))
    if x.element_size() not in _BITS:
        raise TypeError(f'swap_patches knows elements of up to 8 bytes, but got {x.dtype}.')
    if mask.dtype != torch.bool:
        raise TypeError(f'The mask must be a bool tensor, but got {mask.dtype}.')
    if mask.ndim != 3 or len(mask) != len(x) // 2:
        raise ValueError(f'The mask must have shape ({len(x) // 2}, rows, cols) for {len(x)} '
                         f'images, but got {tuple(mask.shape)}.')


def _swap_slices(bits: Tensor, mask: Tensor, edges_y: list[int], edges_x: list[int]) -> None:
    """One exchange per marked cell: moves nothing but what changes places (CPU)."""
    query, partner = (half.numpy() for half in split_pairs(bits))
    for pair, row, col in np.argwhere(mask.numpy()).tolist():
        cell = (pair, slice(None), slice(edges_y[row], edges_y[row + 1]),
                slice(edges_x[col], edges_x[col + 1]))
        kept = query[cell].copy()
        query[cell] = partner[cell]
        partner[cell] = kept


def _swap_bits(bits: Tensor, mask: Tensor) -> None:
    """Masked exclusive or over the whole batch: a fixed number of kernels, no branch."""
    query, partner = split_pairs(bits)
    row, col = (_cell_of_pixel(size, cells, bits.device)
                for size, cells in zip(bits.shape[2:], mask.shape[1:]))
    # -1 has all bits set, 0 none.
    pixels = mask.to(bits.dtype).neg_()[:, row][:, :, col].unsqueeze(1)
    difference = (query ^ partner).bitwise_and_(pixels)
    query ^= difference
    partner ^= difference


def _cell_of_pixel(size: int, cells: int, device: torch.device) -> Tensor:
    """Index of the cell that holds each pixel, computed where it is needed."""
    return ((torch.arange(1, size + 1, device=device) * cells - 1) // size)
