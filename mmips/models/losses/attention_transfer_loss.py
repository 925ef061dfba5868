# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmips.errors import UserError
from mmips.functional.precision import at_least_float32
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class AttentionTransferLoss(nn.Module):
    r"""Attention transfer: where the maps of a stage are large, in student and teacher.

    The attention of a map (C, H, W) is the channels' mean of :math:`|A_c|^p`, as a vector of
    H x W scaled to length 1. The loss sums, over the stages, the mean square of the two
    attentions' difference over images and locations (Zagoruyko and Komodakis, Paying More Attention
    to Attention, arXiv 1612.03928, Eq. 1 and 2; the paper writes the norm of the difference, its
    code and RepDistiller, from which the usual weight of 1000 and the IPS paper's numbers come, the
    mean square). The larger of two maps is averaged down to the smaller.

    Args:
        power (float): p. Default: 2.
        stages (int): Maps that both have to give, so that none is forgotten in
            ``backbone.out_indices``. Default: 4.

    Raises:
        ValueError: For a power or number of stages that is not positive.
        UserError: In the first step, for another number of maps.
    """

    def __init__(self, power: float = 2.0, stages: int = 4) -> None:
        super().__init__()
        if power <= 0 or stages < 1:
            raise ValueError('power must be positive and stages at least 1, but got '
                             f'power={power}, stages={stages}.')
        self.power, self.stages = power, stages

    def forward(self, step: Step) -> Tensor:
        """Of maps (N, C, H, W), a scalar; the numbers of channels may differ."""
        ours, theirs = step.maps, step.taught.maps
        for owner, maps in (('model', ours), ('model.teacher.model', theirs)):
            if len(maps) != self.stages:
                raise UserError(
                    f'AttentionTransferLoss compares {self.stages} maps, but {owner} gives '
                    f'{len(maps)}: set {owner}.backbone.out_indices='
                    f'{tuple(range(self.stages))}, of a VGG one more each; or stages in the loss.')
        return torch.stack([self._difference(*pair) for pair in zip(ours, theirs)]).sum()

    def _difference(self, ours: Tensor, theirs: Tensor) -> Tensor:
        size: Any = [min(pair) for pair in zip(ours.shape[2:], theirs.shape[2:])]
        one, other = (self._attention(maps if list(maps.shape[2:]) == size else
                                      F.adaptive_avg_pool2d(maps, size)) for maps in (ours, theirs))
        return (one - other).square().mean()

    def _attention(self, maps: Tensor) -> Tensor:
        # Squares of float16 would overflow.
        maps = at_least_float32(maps)
        return F.normalize(maps.abs().pow(self.power).mean(1).flatten(1))
