# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from mmips.errors import UserError
from mmips.structures.pairs import pairs_match, split_pairs


@dataclass(frozen=True)
class Step:
    """All that one training step knows: what losses, targets, memories and monitors take.

    Args:
        logits (Tensor): Of every image, (N, K).
        target (Tensor): Labels (N,), or scores (N, K) where batch augments are set.
        features (tuple[Tensor, ...]): What the neck gave, of which the head takes the last,
            (N, D); the backbone's maps where there is no neck. Default: none.
        maps (tuple[Tensor, ...]): What the backbone gave, one a stage of its ``out_indices``,
            (N, C, H, W) each of a convolutional network. Default: none.
        sample_idx (Tensor, optional): The data set's own number of every image, int64 (N,) on
            the CPU. Default: None, where the data set gives none.
        epoch (int): From 0. Default: 0.
        max_epochs (int): Of the whole run; 0 where it is not known. Default: 0.
        classify (Callable, optional): The network's own head: logits (M, K) of any features
            (M, D). Default: None.
        teacher (Step, optional): The same images seen by a teacher, detached. Default: None.
    """
    logits: Tensor
    target: Tensor
    features: tuple[Any, ...] = ()
    maps: tuple[Any, ...] = ()
    sample_idx: Tensor | None = None
    epoch: int = 0
    max_epochs: int = 0
    classify: Callable[[Tensor], Tensor] | None = None
    teacher: Step | None = None

    @property
    def labels(self) -> Tensor:
        """Labels (N,); of scores the class with the highest."""
        return self.target if self.target.ndim == 1 else self.target.argmax(1)

    @property
    def scores(self) -> Tensor:
        """Scores (N, K), float32; of labels one-hot."""
        return (self.target.float() if self.target.ndim == 2 else
                F.one_hot(self.target, self.logits.shape[1]).float())

    @property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Logits of the queries and of the partners, (P, K) each."""
        return split_pairs(self.logits)

    @property
    def matched(self) -> Tensor:
        """Which pairs have one label, bool (P,) on the device of ``target``."""
        return pairs_match(self.target)

    @property
    def taught(self) -> Step:
        """``teacher``; a UserError where there is none."""
        if self.teacher is None:
            raise UserError('This loss learns from a teacher, but the model has none. Write model='
                            "dict(type='mmips.TeacherDistillClassifier', teacher=dict(config=..., "
                            'checkpoint=...)).')
        return self.teacher

    def detach(self) -> Step:
        """Without gradients, and without what would hold much memory to the next step.

        Of the features the last ones are left, which the head takes.
        """
        last = self.features[-1:]
        return replace(self, logits=self.logits.detach(), maps=(), classify=None, teacher=None,
                       features=tuple(part.detach() for part in last if isinstance(part, Tensor)))
