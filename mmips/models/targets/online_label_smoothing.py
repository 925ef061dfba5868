# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
from torch import Tensor

from mmips.models.memory import Memory
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class OnlineLabelSmoothing(Memory):
    r"""OLS: soft labels of a class from what the network says of it (Zhang et al., TIP 2021).

    The target of an image of class y is :math:`w \, y + (1 - w) \, S_y`. Row y of S (C x C) is the
    mean softmax of the last epoch over the images of class y that were predicted right, in the
    training's own forward; uniform for a class without one (arXiv 2011.12562). As in
    the authors' code S starts at zero: the first epoch has w CE alone.

    Needs ``mmips.MemoryHook``, which adds up over the ranks before S is renewed. It is 2 C^2 + C
    numbers of float32: 8 MB for ImageNet's classes.

    Args:
        hard_weight (float): w, weight of the label. Default: 0.5 (the authors').

    Raises:
        ValueError: If ``hard_weight`` is not in [0, 1].
    """
    activation = 'softmax'
    soft: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self, hard_weight: float = 0.5) -> None:
        super().__init__()
        if not 0 <= hard_weight <= 1:
            raise ValueError(f'hard_weight must be in [0, 1], but got {hard_weight}.')
        self.hard_weight = hard_weight

    def plan(self, num_images: int, num_classes: int, batch_size: int) -> dict[str, Tensor]:
        """S, and the sums and counts of the next."""
        square = torch.empty(num_classes, num_classes, device='meta')
        return dict(soft=square, sums=square, counts=square[0])

    def update(self, step: Step) -> None:
        """Add up the predictions that were right."""
        right = (step.logits.argmax(1) == step.labels).float()
        self.sums.index_add_(0, step.labels, step.logits.float().softmax(1) * right[:, None])
        self.counts.index_add_(0, step.labels, right)

    def end_epoch(self) -> None:
        """Their means are the next S."""
        means = self.sums / self.counts.clamp(min=1)[:, None]
        uniform = means.new_tensor(1 / len(means))
        self.soft.copy_(means.where(self.counts[:, None] > 0, uniform))
        self.sums.zero_()
        self.counts.zero_()

    def forward(self, step: Step) -> Tensor:
        """Targets (N, C), float32; they sum to w in the first epoch and to 1 later."""
        return (self.hard_weight * step.scores
                + (1 - self.hard_weight) * self.soft[step.labels])
