# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

import torch
from torch import Tensor

from mmips.functional import draw_patch_mask, swap_patches
from mmips.registry import BATCH_AUGMENTS
from mmips.structures import pairs_match

from .rank_rng import RankRng


@BATCH_AUGMENTS.register_module()
class IntraClassPatchSwap:
    """Swap random grid patches between the two images of a pair (IPS, Section 3.2).

    Expects the batch of ``mmips.PairedClassSampler``. **Writes into the batch it is given**,
    which in mmpretrain is the one the data preprocessor has just built. Labels stay as
    they are; a pair whose labels differ is left alone.

    Args:
        grid_size (int | tuple[int, int]): Number of cells, not pixels: 4 cuts every image
            into 4 x 4 cells, (rows, cols) into rows x cols. Default: 4 (CIFAR-100,
            fine-grained and the transfer backbones; Table 2 also uses 2).
        prob (float): Probability p_r that a pair is swapped. Default: 0.5. Settable while
            training, as ``mmips.PatchSwapSchedule`` does.
        min_patches (int): Least number of cells exchanged. Default: 1.
        max_patches (int, optional): Largest number of cells exchanged. Default: None,
            all but one.
        seed (int, optional): Seed of the masks. Default: None, torch's seed. Ranks differ
            in either case.

    Raises:
        ValueError: For a grid, probability or patch range that cannot be.
    """

    def __init__(self,
                 grid_size: int | tuple[int, int] = 4,
                 prob: float = 0.5,
                 min_patches: int = 1,
                 max_patches: int | None = None,
                 seed: int | None = None) -> None:
        grid = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
        if not _are_counts(grid) or grid[0] * grid[1] < 2:
            raise ValueError('grid_size must be the number of cells, at least two in all, as an '
                             f'int or (rows, cols), but got {grid_size!r}.')
        if not isinstance(prob, (int, float)) or not 0 <= prob <= 1:
            raise ValueError(f'prob must be a number in [0, 1], but got {prob!r}.')
        self.grid_size = (grid[0], grid[1])
        self.prob = float(prob)
        cells = grid[0] * grid[1]
        self.min_patches = min_patches
        self.max_patches = cells - 1 if max_patches is None else max_patches
        if (not _are_counts((self.min_patches, self.max_patches))
                or not self.min_patches <= self.max_patches <= cells):
            raise ValueError(
                f'Need 1 <= min_patches <= max_patches <= {cells} for a grid of {self.grid_size}, '
                f'but got min_patches={min_patches!r}, max_patches={max_patches!r}'
                f'{" (all but one)" if max_patches is None else ""}.')
        self._rng = RankRng(seed)
        #: Cells exchanged in the last batch, bool (P, rows, cols) on its device; None before.
        self.last_mask: Tensor | None = None

    @torch.compiler.disable
    @torch.no_grad()
    def __call__(self, batch_input: Tensor, batch_score: Tensor) -> tuple[Tensor, Tensor]:
        """Swap in place between images (2P, C, H, W); one-hot or soft labels (2P, K) as floats.

        Cross entropy with class probabilities refuses mmpretrain's integer one-hot labels.
        """
        matched = pairs_match(batch_score)
        mask = self.draw_mask(len(matched)).to(batch_input.device, non_blocking=True)
        mask &= matched.to(batch_input.device)[:, None, None]
        swap_patches(batch_input, mask, inplace=True)
        self.last_mask = mask
        return batch_input, batch_score if batch_score.is_floating_point() else batch_score.float()

    def draw_mask(self, num_pairs: int) -> Tensor:
        """Draw the cells to exchange, bool (num_pairs, rows, cols) on the CPU."""
        return draw_patch_mask(num_pairs, self.grid_size, self.prob, self.min_patches,
                               self.max_patches, rng=self._rng())


def _are_counts(values: Any) -> bool:
    """Whether these are two positive integers."""
    return (isinstance(values, (tuple, list)) and len(values) == 2
            and all(type(value) is int and value > 0 for value in values))


def find_patch_swaps(model: torch.nn.Module) -> list[IntraClassPatchSwap]:
    """All patch swaps in a model's data preprocessor."""
    return [swap for part in model.modules()
            for swap in swaps_in(getattr(part, 'batch_augments', None))]


def swaps_in(augment: Any) -> list[IntraClassPatchSwap]:
    """All patch swaps in an augment, in sequences and choices of augments too."""
    found = [augment]
    for each in found:
        found += getattr(each, 'augments', [])
    return [each for each in found if isinstance(each, IntraClassPatchSwap)]
