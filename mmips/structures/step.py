# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from mmips.structures.pairs import pairs_match, split_pairs


@dataclass(frozen=True)
class Step:
    """All that one training step knows: what losses, targets, memories and monitors take.

    Args:
        logits (Tensor): Of every image, (N, K).
        target (Tensor): Labels (N,), or scores (N, K) where batch augments are set.
        features (tuple[Tensor, ...]): What the backbone gave. Default: none.
        sample_idx (Tensor, optional): The data set's own number of every image, int64 (N,) on
            the CPU. Default: None, where the data set gives none.
        epoch (int): From 0. Default: 0.
        max_epochs (int): Of the whole run; 0 where it is not known. Default: 0.
    """
    logits: Tensor
    target: Tensor
    features: tuple[Any, ...] = ()
    sample_idx: Tensor | None = None
    epoch: int = 0
    max_epochs: int = 0

    @property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Logits of the queries and of the partners, (P, K) each."""
        return split_pairs(self.logits)

    @property
    def matched(self) -> Tensor:
        """Which pairs have one label, bool (P,) on the device of ``target``."""
        return pairs_match(self.target)

    def detach(self) -> 'Step':
        """Without gradients, and without features, which would hold memory to the next step."""
        return replace(self, logits=self.logits.detach(), features=())
