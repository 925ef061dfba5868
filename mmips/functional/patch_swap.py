# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Swap grid patches between the two images of every pair (IPS, Section 3.2)."""
import numpy as np
import torch
from torch import Tensor

from mmips.structures import split_pairs

# Integers of the same width: bits are exchanged, never rounded, whatever the dtype.
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

# On the CPU a cell of so many bytes is worth a slice of its own; below that, masked arithmetic
# on the whole batch is quicker. Measured with benchmarks/run.py swap.
_SLICE_BYTES = 4096


def cell_edges(size: int, cells: int) -> list[int]:
    """Borders, from 0 to ``size``, of cells along an axis; cell i is edges[i] to edges[i + 1].

    Sizes differ by at most one pixel and every pixel belongs to exactly one cell.
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

    A pair takes part with probability ``prob``. One that does exchanges k cells, k uniform in
    [min_patches, max_patches] and the k cells uniform among all (IPS, Section 3.2: "at least one
    patch"; the upper bound, by default all cells but one, is inferred: exchanging all only
    renames the images).

    Returns bool (P, rows, cols), on the CPU.
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
        ValueError: For shapes that do not fit and a mask that is not boolean.
    """
    if x.ndim != 4 or mask.ndim != 3 or mask.dtype != torch.bool or len(x) != 2 * len(mask):
        raise ValueError('swap_patches expects images (2P, C, H, W) and a bool mask (P, rows, '
                         f'cols), but got {tuple(x.shape)} and {mask.dtype} {tuple(mask.shape)}.')
    out = x.detach() if inplace else x.detach().clone()
    edges = [cell_edges(*sizes) for sizes in zip(x.shape[2:], mask.shape[1:])]
    bits = out.view(_BITS[out.element_size()])
    if x.device.type == 'cpu' and bits[0].nbytes >= _SLICE_BYTES * mask[0].numel():
        _swap_slices(bits, mask, *edges)
    else:
        _swap_bits(bits, mask)
    return x if inplace else out


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
    # The cell of each pixel, computed where it is needed.
    row, col = ((torch.arange(1, size + 1, device=bits.device) * cells - 1) // size
                for size, cells in zip(bits.shape[2:], mask.shape[1:]))
    # -1 has all bits set, 0 none.
    pixels = mask.to(bits.dtype).neg_()[:, row][:, :, col].unsqueeze(1)
    difference = (query ^ partner).bitwise_and_(pixels)
    query ^= difference
    partner ^= difference
