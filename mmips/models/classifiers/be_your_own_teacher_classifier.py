# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ModuleList
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmips.functional.pair_kl import check_options
from mmips.functional.precision import at_least_float32
from mmips.models.exits import StageExit
from mmips.registry import MODELS

from .base_exit_classifier import BaseExitClassifier, total


@MODELS.register_module()
class BeYourOwnTeacherClassifier(BaseExitClassifier):
    r"""BYOT (Zhang et al., ICCV 2019): the deepest exit teaches three shallow ones.

    An exit after each of the first three stages has a bottleneck block for each later stage, as
    the paper draws them, mean and linear layer. Where 4 is the network itself, :math:`f` the means
    of the final maps, :math:`A_l` linear, ``sg`` no gradient and H the soft cross entropy,

    * ``loss_ce``: gamma [CE(z_4) + (1 - alpha) sum over l = 1..3 of CE(z_l)]
    * ``loss_kd``: alpha sum over l = 1..3 of H(sg softmax(z_4 / T), softmax(z_l / T))
    * ``loss_feature``: weight x sum_l ||A_l(f_l) - sg f_4||, one distance of the whole batch

    The authors' journal code, which the defaults come from, has attention modules and separable
    convolutions in the exits, no T^2, and no feature term at the third exit (``feature_exits=2``).
    The paper writes the distance squared (``squared=True``: of each image, averaged). Another
    implementation that many run has the hard term on all four exits, T^2, alpha 0.1, and 1e-6
    times the squared distance. The checkpoint of the authors' numbers is the best by the ensemble
    of all exits on the test set.

    Args:
        *args: As ``ImageClassifier``.
        alpha (float): Share of the deepest exit in what the shallow ones learn, in [0, 1].
            Default: 0.3.
        gamma (float): Weight of the cross entropies. Default: 1.
        temperature (float): T. Default: 3.
        scale_by_t2 (bool): Multiply H by T^2. Default: False.
        feature_weight (float): Default: 0.03.
        feature_exits (int): How many exits, the shallowest first, have the feature term.
            Default: 3.
        squared (bool): Default: False.
        **kwargs: As ``ImageClassifier``.

    Raises:
        ValueError: For a backbone that is no ResNet of four stages, all of which it gives, and for
            numbers out of range.
    """

    def __init__(self, *args: Any, alpha: float = 0.3, gamma: float = 1.0,
                 temperature: float = 3.0, scale_by_t2: bool = False, feature_weight: float = 0.03,
                 feature_exits: int = 3, squared: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, alpha=alpha, gamma=gamma, **kwargs)
        check_options(temperature, 'none')
        if alpha > 1 or feature_weight < 0 or feature_exits not in range(4):
            raise ValueError('alpha must be in [0, 1], feature_weight not negative and '
                             f'feature_exits 0 to 3, but got alpha={alpha}, feature_weight='
                             f'{feature_weight}, feature_exits={feature_exits}.')
        self.temperature, self.scale_by_t2 = temperature, scale_by_t2
        self.feature_weight, self.squared = feature_weight, squared
        if self.exits is not None:
            width = self.exits[0].fc.in_features
            self.adapters = ModuleList([nn.Linear(width, width) for _ in range(feature_exits)])

    def make_exits(self) -> ModuleList:
        """Three exits of bottleneck blocks."""
        return StageExit.bottlenecks(self.backbone, self.head.num_classes)

    def loss(self, inputs: Tensor, data_samples: Sequence[DataSample]) -> dict[str, Tensor]:
        """Compute the three losses named above, weighted, and the head's accuracies.

        Arguments and errors are those of :meth:`DistillClassifier.loss`.
        """
        self.check_head()
        maps = self.forward_maps(inputs)
        step = self.make_step(maps, data_samples)
        finals, logits = self.exit_outputs(maps)
        losses = self._head_loss(step.logits, step.target, data_samples)
        losses['loss_ce'] = losses['loss_ce'] + self.gamma * (1 - self.alpha) * total(
            self.plain_loss(z, step.target) for z in logits)
        losses['loss_kd'] = self.alpha * total(self._soft_loss(step.logits, z) for z in logits)
        deepest = maps[-1].detach().mean((2, 3))
        losses['loss_feature'] = self.feature_weight * total([step.logits.new_zeros(()), *(
            self._distance(adapt(final.mean((2, 3))), deepest)
            for adapt, final in zip(self.adapters, finals))])
        self.leave(step)
        return losses

    def _soft_loss(self, teacher: Tensor, student: Tensor) -> Tensor:
        """H at temperature T, in float32 at least, averaged over the images."""
        target, log_p = (at_least_float32(z) / self.temperature
                         for z in (teacher.detach(), student))
        loss = -(target.softmax(1) * log_p.log_softmax(1)).sum(1).mean()
        return loss * self.temperature**2 if self.scale_by_t2 else loss

    def _distance(self, adapted: Tensor, deepest: Tensor) -> Tensor:
        apart = at_least_float32(adapted - deepest)
        return (apart.square().sum() / len(apart) if self.squared
                else torch.linalg.vector_norm(apart))
