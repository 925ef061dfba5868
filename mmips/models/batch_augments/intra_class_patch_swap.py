# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor

from mmips.functional import draw_patch_mask, swap_patches
from mmips.registry import BATCH_AUGMENTS
from mmips.structures import pairs_match

from .rank_rng import RankRng

__all__ = ['IntraClassPatchSwap', 'find_patch_swaps']


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
        TypeError, ValueError: For a grid, probability or patch range that cannot be.

    Example:
        >>> model = dict(
        ...     type='mmips.SelfDistillClassifier',
        ...     train_cfg=dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=2)]))
    """

    def __init__(self,
                 grid_size: int | tuple[int, int] = 4,
                 prob: float = 0.5,
                 min_patches: int = 1,
                 max_patches: int | None = None,
                 seed: int | None = None) -> None:
        self.grid_size = _as_grid(grid_size)
        self.prob = prob
        cells = self.grid_size[0] * self.grid_size[1]
        self.min_patches = min_patches
        self.max_patches = cells - 1 if max_patches is None else max_patches
        for name in ('min_patches', 'max_patches'):
            if type(getattr(self, name)) is not int:
                raise TypeError(f'{name} must be a number of cells, but got '
                                f'{getattr(self, name)!r}.')
        if not 1 <= self.min_patches <= self.max_patches <= cells:
            raise ValueError(
                f'Need 1 <= min_patches <= max_patches <= {cells} for a grid of {self.grid_size}, '
                f'but got min_patches={min_patches}, max_patches={max_patches}'
                f'{" (all but one)" if max_patches is None else ""}.')
        self._rng = RankRng(seed)
        #: Cells exchanged in the last batch, bool (P, rows, cols) on its device; None before.
        self.last_mask: Tensor | None = None

    @property
    def prob(self) -> float:
        """Probability that a pair is swapped."""
        return self._prob

    @prob.setter
    def prob(self, value: float) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f'prob must be a number in [0, 1], but got {value!r}.')
        if not 0 <= value <= 1:
            raise ValueError(f'prob must be in [0, 1], but got {value}.')
        self._prob = float(value)

    @torch.compiler.disable
    @torch.no_grad()
    def __call__(self, batch_input: Tensor, batch_score: Tensor) -> tuple[Tensor, Tensor]:
        """Swap in place.

        Args:
            batch_input (Tensor): Images (2P, C, H, W).
            batch_score (Tensor): One-hot or soft labels (2P, K).

        Returns:
            tuple[Tensor, Tensor]: The same images, and the scores as floats, since cross
            entropy with class probabilities refuses mmpretrain's integer one-hot labels.
        """
        if len(batch_input) != len(batch_score):
            raise ValueError(f'Got {len(batch_input)} images but {len(batch_score)} scores.')
        matched = pairs_match(batch_score)
        mask = self.draw_mask(len(matched)).to(batch_input.device, non_blocking=True)
        mask &= matched.to(batch_input.device)[:, None, None]
        swap_patches(batch_input, mask, inplace=True)
        self.last_mask = mask
        return batch_input, batch_score if batch_score.is_floating_point() else batch_score.float()

    def draw_mask(self, num_pairs: int) -> Tensor:
        """Draw the cells to exchange, bool (num_pairs, rows, cols) on the CPU."""
        return draw_patch_mask(
            num_pairs,
            self.grid_size,
            self.prob,
            self.min_patches,
            self.max_patches,
            rng=self._rng())

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(grid_size={self.grid_size}, prob={self.prob}, '
                f'min_patches={self.min_patches}, max_patches={self.max_patches})')


def _as_grid(grid_size: Any) -> tuple[int, int]:
    grid = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
    is_pair = isinstance(grid, (tuple, list)) and len(grid) == 2
    if not is_pair or any(isinstance(g, bool) or not isinstance(g, int) for g in grid):
        raise TypeError('grid_size must be the number of cells as an int or (rows, cols), '
                        f'but got {grid_size!r}.')
    rows, cols = grid
    if rows < 1 or cols < 1 or rows * cols < 2:
        raise ValueError(f'grid_size needs at least two cells to swap, but got {grid_size!r}.')
    return rows, cols


def find_patch_swaps(model: torch.nn.Module) -> list[IntraClassPatchSwap]:
    """All patch swaps in a model's data preprocessor, however deep they are nested."""
    inner = model.module if is_model_wrapper(model) else model
    preprocessor = getattr(inner, 'data_preprocessor', None)
    todo: list[Any] = [getattr(preprocessor, 'batch_augments', None)]
    found = []
    while todo:
        augment = todo.pop(0)
        if isinstance(augment, IntraClassPatchSwap):
            found.append(augment)
        todo += getattr(augment, 'augments', [])
        if hasattr(augment, 'augment'):
            todo.append(augment.augment)
    return found
