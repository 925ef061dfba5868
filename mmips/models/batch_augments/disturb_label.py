# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import numpy as np
import torch
from torch import Tensor

from mmips.registry import BATCH_AUGMENTS

from .rank_rng import RankRng


@BATCH_AUGMENTS.register_module()
class DisturbLabel:
    """Draw some labels of every batch anew (Xie et al., arXiv 1605.00055).

    Each label is replaced, with probability alpha, by one that is uniform over all C classes: it is
    another than before with probability alpha (C - 1) / C. The images stay as they are; a soft
    label is replaced as a whole. Meant for single images: it tears pairs of one class apart.

    Args:
        alpha (float): Share of labels to draw anew, in [0, 1]. Default: 0.1, as in the comparison
            by the authors of OLS.
        seed (int, optional): Seed of the draws. Default: None, torch's seed. Ranks differ in
            either case.

    Raises:
        ValueError: If ``alpha`` is not in [0, 1].
    """

    def __init__(self, alpha: float = 0.1, seed: int | None = None) -> None:
        if not isinstance(alpha, (int, float)) or not 0 <= alpha <= 1:
            raise ValueError(f'alpha must be a share in [0, 1], but got {alpha!r}.')
        self.alpha = alpha
        self._rng = RankRng(seed, stream='DisturbLabel')

    @torch.compiler.disable
    @torch.no_grad()
    def __call__(self, batch_input: Tensor, batch_score: Tensor) -> tuple[Tensor, Tensor]:
        """The images as they are, and labels (N, C) as floats, some of them other one-hot ones."""
        number, classes = batch_score.shape
        rng = self._rng()
        replaced = rng.random(number) < self.alpha
        drawn = np.eye(classes, dtype=np.float32)[rng.integers(classes, size=number)]
        mask, other = (torch.from_numpy(each).to(batch_score.device, non_blocking=True)
                       for each in (replaced[:, None], drawn))
        return batch_input, other.where(mask, batch_score.float())
