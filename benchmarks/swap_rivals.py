# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Other ways to exchange patches, each as good as it gets in the same few lines.

Each takes images (2P, C, H, W), pairs interleaved, and a bool mask (P, rows, cols) whose grid
divides the image, and returns the swapped batch, which may be the one it was given.
"""
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ['RIVALS', 'copy_of_moved_bytes']


def loop_over_cells(x: Tensor, mask: Tensor) -> Tensor:
    """In place; for each cell, all pairs that exchange it at once."""
    query, partner = x[0::2], x[1::2]
    for row, col, ys, xs in _cells(x, mask):
        pairs = mask[:, row, col].nonzero().squeeze(1)
        kept = query[pairs, :, ys, xs]
        query[pairs, :, ys, xs] = partner[pairs, :, ys, xs]
        partner[pairs, :, ys, xs] = kept
    return x


def loop_over_pairs_and_cells(x: Tensor, mask: Tensor) -> Tensor:
    """In place; one exchange of slices for each marked cell of each pair."""
    height, width = x.shape[2] // mask.shape[1], x.shape[3] // mask.shape[2]
    for pair, row, col in mask.nonzero().tolist():
        cell = (..., slice(row * height, (row + 1) * height), slice(col * width, (col + 1) * width))
        query, partner = x[2 * pair][cell], x[2 * pair + 1][cell]
        kept = query.clone()
        query.copy_(partner)
        partner.copy_(kept)
    return x


def unfold_fold(x: Tensor, mask: Tensor) -> Tensor:
    """Cut the batch into columns, exchange columns pair by pair, put it together again."""
    size = x.shape[2:]
    cell = (size[0] // mask.shape[1], size[1] // mask.shape[2])
    patches = F.unfold(x, cell, stride=cell)
    for pair, chosen in enumerate(mask.flatten(1)):
        query, partner = patches[2 * pair], patches[2 * pair + 1]
        kept = query[:, chosen]
        query[:, chosen] = partner[:, chosen]
        partner[:, chosen] = kept
    return F.fold(patches, size, cell, stride=cell)


def gather_scatter(x: Tensor, mask: Tensor) -> Tensor:
    """In place; gather all marked cells, exchange, scatter."""
    (pairs, rows, cols), (channels, height, width) = mask.shape, x.shape[1:]
    cells = x.view(pairs, 2, channels, rows, height // rows, cols, width // cols)
    cells = cells.permute(0, 3, 5, 1, 2, 4, 6)
    cells[mask] = cells[mask].flip(1)
    return x


def full_where(x: Tensor, mask: Tensor) -> Tensor:
    """Choose between the batch and the batch of partners, pixel by pixel."""
    height, width = x.shape[2] // mask.shape[1], x.shape[3] // mask.shape[2]
    pixels = mask.repeat_interleave(height, 1).repeat_interleave(width, 2)
    partners = x.view(-1, 2, *x.shape[1:]).flip(1).view_as(x)
    return torch.where(pixels.repeat_interleave(2, 0).unsqueeze(1), partners, x)


def copy_of_moved_bytes(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Two contiguous tensors, target and source, as large as all that changes places."""
    moved = x.numel() // mask.numel() * int(mask.sum())
    return x.new_zeros(moved), x.new_zeros(moved)


def _cells(x: Tensor, mask: Tensor) -> list[tuple[int, int, slice, slice]]:
    rows, cols = mask.shape[1:]
    height, width = x.shape[2] // rows, x.shape[3] // cols
    return [(row, col, slice(row * height, (row + 1) * height),
             slice(col * width, (col + 1) * width)) for row in range(rows) for col in range(cols)]


RIVALS = {
    'loop over cells': loop_over_cells,
    'loop over pairs and cells': loop_over_pairs_and_cells,
    'gather, scatter': gather_scatter,
    'one full-size where': full_where,
    'unfold, loop over pairs, fold': unfold_fold,
}
