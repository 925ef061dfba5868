# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmips.functional import pair_kl
from mmips.models.memory import Memory
from mmips.registry import MODELS
from mmips.structures import Step, join_pairs, split_pairs


@MODELS.register_module()
class SumLoss(nn.Module):
    """The sum of several losses on one step."""

    def __init__(self, losses: list[dict]) -> None:
        super().__init__()
        self.losses = nn.ModuleList(map(MODELS.build, losses))

    def forward(self, step: Step) -> Tensor:
        """A scalar."""
        return torch.stack([loss(step) for loss in self.losses]).sum()


@MODELS.register_module()
class StandardizedPairKLLoss(nn.Module):
    """The pair KL of logits with mean 0 and deviation 1 in each image (Sun et al., CVPR 2024)."""

    def __init__(self, temperature: float = 2.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, step: Step) -> Tensor:
        """Mean over the pairs of one label, a scalar."""
        logits = step.logits.float()
        deviation = logits.std(1, keepdim=True, correction=0) + 1e-7
        standard = (logits - logits.mean(1, keepdim=True)) / deviation
        return pair_kl(*split_pairs(standard), self.temperature, valid=step.matched)


@MODELS.register_module()
class ScheduledPairKLLoss(nn.Module):
    """The pair KL with a temperature that goes from ``start`` to ``end``, linear in epochs."""

    def __init__(self, start: float, end: float) -> None:
        super().__init__()
        self.start, self.end = start, end

    def forward(self, step: Step) -> Tensor:
        """Mean over the pairs of one label, a scalar."""
        share = step.epoch / max(step.max_epochs - 1, 1)
        temperature = self.start + (self.end - self.start) * share
        return pair_kl(*step.pairs, temperature, valid=step.matched)


@MODELS.register_module()
class BatchClassKLLoss(nn.Module):
    """The symmetric KL of all pairs of one label that an ordinary batch holds; no sampler."""

    def __init__(self, temperature: float = 4.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, step: Step) -> Tensor:
        """Mean over these pairs times T^2, a scalar."""
        logs = (step.logits.float() / self.temperature).log_softmax(1)
        probs = logs.exp()
        cross = probs @ logs.T
        own = cross.diagonal()
        each = (own[:, None] + own[None] - cross - cross.T) / 2
        same = (step.labels[:, None] == step.labels[None]).triu(1)
        return (each * same).sum() / same.sum().clamp(min=1) * self.temperature**2


@MODELS.register_module()
class ClassMeanKLLoss(Memory):
    """KL from each class's mean softened prediction of the last epoch to an image's own.

    A class's mean stands in the place of a second image: any batch will do. The first epoch has no
    means and no loss.
    """

    mean: Tensor
    sums: Tensor
    counts: Tensor

    def __init__(self, temperature: float = 4.0) -> None:
        super().__init__()
        self.temperature = temperature

    def plan(self, num_images: int, num_classes: int, batch_size: int) -> dict[str, Tensor]:
        """The means, and the sums and counts of the next."""
        square = torch.empty(num_classes, num_classes, device='meta')
        return dict(mean=square, sums=square, counts=square[0])

    def update(self, step: Step) -> None:
        """Add up the predictions."""
        soft = (step.logits.float() / self.temperature).softmax(1)
        self.sums.index_add_(0, step.labels, soft)
        self.counts.index_add_(0, step.labels, torch.ones_like(soft[:, 0]))

    def end_epoch(self) -> None:
        """Their means; zero for a class that was not seen."""
        self.mean.copy_(self.sums / self.counts.clamp(min=1)[:, None])
        self.sums.zero_()
        self.counts.zero_()

    def forward(self, step: Step) -> Tensor:
        """Mean over the images times T^2, a scalar."""
        goal = self.mean[step.labels]
        return _kl(goal, step.logits, self.temperature) / len(goal)


@MODELS.register_module()
class PartnerMemoryKLLoss(Memory):
    """KL from what is remembered of each image's partner to the image's own prediction.

    Of every image a moving average of its softened predictions is kept; the partner's own
    prediction in this step takes no part.
    """

    soft: Tensor

    def __init__(self, temperature: float = 4.0, momentum: float = 0.5) -> None:
        super().__init__()
        self.temperature, self.momentum = temperature, momentum

    def plan(self, num_images: int, num_classes: int, batch_size: int) -> dict[str, Tensor]:
        """A row an image, zero before it was seen."""
        return dict(soft=torch.empty(num_images, num_classes, device='meta'))

    def update(self, step: Step) -> None:
        """Move the rows of this step; one that was not seen before takes the prediction whole."""
        images = self.images(step)
        new, rows = (step.logits.float() / self.temperature).softmax(1), self.soft[images]
        weight = torch.where(rows.sum(1, keepdim=True) > 0, 1 - self.momentum, 1.0)
        self.soft[images] = rows + weight * (new - rows)

    def forward(self, step: Step) -> Tensor:
        """Mean over the images times T^2, a scalar."""
        own, partner = split_pairs(self.soft[self.images(step)])
        goal = join_pairs(partner, own) * join_pairs(step.matched, step.matched)[:, None]
        return _kl(goal, step.logits, self.temperature) / len(goal)


def _kl(goal: Tensor, logits: Tensor, temperature: float) -> Tensor:
    """KL(goal || softmax(logits / T)) times T^2, summed; rows of ``goal`` that are zero count 0."""
    logs = F.log_softmax(logits.float() / temperature, dim=1)
    return (torch.special.xlogy(goal, goal) - goal * logs).sum() * temperature**2
