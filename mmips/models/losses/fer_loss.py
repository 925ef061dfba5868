# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mmips.functional.precision import at_least_float32
from mmips.models.memory import Memory
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class FERLoss(Memory):
    r"""FER: soft labels of each image, revised where it was right (Deng et al., AAAI 2022).

    The whole loss, cross entropy included: write ``gamma=0`` in the classifier. In epoch t of E,
    from 1, with r = t / E, an image that was predicted right in any step before has the loss
    :math:`[g + (1 - r)(1 - g)] \, CE + r (1 - g) \, T^2 H(S_i, p_T)`, any other image and the whole
    first epoch CE alone. H is a cross entropy with the softened softmax :math:`p_T`. After a step
    that predicts image i right, in the training's own forward, its row moves from zero towards
    :math:`p_T` by the weight :math:`1 - \exp(-\mu \, p_y)`, with the label's probability
    :math:`p_y` at T = 1. So written as the authors' code, from which the published numbers came.

    Needs ``mmips.MemoryHook`` and images that have a number each: N x C float32, 20 MB for
    CIFAR-100, 5.1 GB for ImageNet (twice that in several processes). Of an image that several
    processes saw in one epoch, to fill up the last batch, the sum of the changes is kept.

    Args:
        temperature (float): T. Default: 5 (the authors').
        gamma (float): g, the share of CE that stays in the last epoch. Default: 0.1 (the authors').
        mu (float): How far a row moves. Default: 1 (the authors' for ResNet-18; 0.5 for
            ShuffleNetV2, 0.3 for MobileNetV2 and WRN-40-2).

    Raises:
        ValueError: For values that cannot be.
    """
    activation = 'softmax'
    soft: Tensor

    def __init__(self, temperature: float = 5.0, gamma: float = 0.1, mu: float = 1.0) -> None:
        super().__init__()
        if not 0 < temperature < math.inf or not 0 <= gamma <= 1 or not 0 < mu < math.inf:
            raise ValueError('Need a positive temperature and mu and a gamma in [0, 1], but got '
                             f'temperature={temperature}, gamma={gamma}, mu={mu}.')
        self.temperature, self.gamma, self.mu = temperature, gamma, mu

    def plan(self, num_images: int, num_classes: int, batch_size: int) -> dict[str, Tensor]:
        """S. A row is zero until its image was first predicted right."""
        return dict(soft=torch.empty(num_images, num_classes, device='meta'))

    def update(self, step: Step) -> None:
        """Move the rows of the images that were predicted right."""
        logits, labels, images = step.logits.float(), step.labels, self.images(step)
        sure = logits.softmax(1).gather(1, labels[:, None])
        right = logits.argmax(1, keepdim=True) == labels[:, None]
        weight = right * -torch.expm1(-self.mu * sure)
        rows = self.soft[images]
        self.soft[images] = rows + weight * ((logits / self.temperature).softmax(1) - rows)

    def end_epoch(self) -> None:
        """Two changes of one row may have gone below zero together."""
        self.soft.clamp_(min=0)

    def forward(self, step: Step) -> Tensor:
        """The loss of a batch, a scalar."""
        logits = at_least_float32(step.logits)
        ce = F.cross_entropy(logits, step.scores.to(logits.dtype), reduction='none')
        if step.epoch == 0:
            return ce.mean()
        soft = self.soft[self.images(step)]
        known = soft.sum(1) > 0
        progress = (step.epoch + 1) / step.max_epochs
        hard = torch.where(known, self.gamma + (1 - progress) * (1 - self.gamma), 1.0)
        # Zero for rows that are zero.
        taught = -(soft * F.log_softmax(logits / self.temperature, dim=1)).sum(1)
        return (hard * ce + progress * (1 - self.gamma) * self.temperature**2 * taught).mean()
