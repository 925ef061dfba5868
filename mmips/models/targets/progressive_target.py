# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
from torch import Tensor

from mmips.models.memory import Memory
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class ProgressiveTarget(Memory):
    r"""PS-KD: labels refined by what the network said of the image before (Kim et al., ICCV 2021).

    In epoch t of E, from 1, the target is :math:`(1 - a_t) \, y + a_t \, p_{t-1}` with
    :math:`a_t = a \, t / E` (arXiv 2006.12000): :math:`p_{t-1}` is the softmax of
    this image in the epoch before, in the training's own forward. The first epoch has the labels
    alone, and so has any image that was never seen.

    Needs ``mmips.MemoryHook`` and images that have a number each: N x C float32, 20 MB for
    CIFAR-100, 5.1 GB for ImageNet (twice that in several processes). Of an image that several
    processes saw in one epoch, to fill up the last batch, the sum of the changes is kept, made a
    distribution again.

    Args:
        alpha (float): a, the last epoch's weight of the prediction. Default: 0.8 (the authors').

    Raises:
        ValueError: If ``alpha`` is not in [0, 1].
    """
    activation = 'softmax'
    predicted: Tensor

    def __init__(self, alpha: float = 0.8) -> None:
        super().__init__()
        if not 0 <= alpha <= 1:
            raise ValueError(f'alpha must be in [0, 1], but got {alpha}.')
        self.alpha = alpha

    def plan(self, num_images: int, num_classes: int, batch_size: int) -> dict[str, Tensor]:
        """The last prediction of every image."""
        return dict(predicted=torch.empty(num_images, num_classes, device='meta'))

    def update(self, step: Step) -> None:
        """Write down the predictions."""
        self.predicted[self.images(step)] = step.logits.float().softmax(1)

    def end_epoch(self) -> None:
        """Make distributions of what several processes have added up."""
        total = self.predicted.clamp_(min=0).sum(1, keepdim=True)
        self.predicted.div_(total.clamp_(min=torch.finfo(total.dtype).tiny))

    def forward(self, step: Step) -> Tensor:
        """Targets (N, C), float32, that sum to 1."""
        if step.epoch == 0:
            return step.scores
        weight = self.alpha * (step.epoch + 1) / step.max_epochs
        before = self.predicted[self.images(step)]
        seen = before.sum(1, keepdim=True) > 0
        return (1 - weight) * step.scores + weight * before.where(seen, step.scores)
