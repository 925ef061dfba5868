# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dist import broadcast
from torch import Tensor, nn

from mmips.datasets.labels import get_labels
from mmips.errors import UserError
from mmips.functional.precision import at_least_float32
from mmips.models.memory import Memory
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class ContrastiveDistillLoss(Memory):
    r"""Contrastive representation distillation (CRD): an image is told from those of other classes.

    Pooled features of student and teacher are embedded by a linear layer each, which learn, and
    scaled to length 1. Two memories hold the embeddings of every image, moved by ``momentum`` after
    each step. With x the inner product of an image's embedding and a row of the other network's
    memory, divided by tau, the loss of an image is, for either network,

    .. math:: -\log h(x_{own}) - \sum_{m\ others} \log(1 - h(x)),\quad
              h(x) = \frac{e^x / Z}{e^x / Z + m / N}

    (Tian et al., Contrastive Representation Distillation, arXiv 1910.10699, Eq. 10 to 19). The
    paper prints h without Z; the authors' code, from which all published numbers and the usual
    weight of 0.8 come, divides by Z = N x the mean of :math:`e^x` in the first batch. Without it
    the loss starts at 50,000 on CIFAR-100 instead of 22, hence ``first_batch_constant`` is the
    default here. The others are drawn anew in every step from the images of other classes, with
    replacement (RepDistiller's mode 'exact' draws without); if there are no more than
    ``negatives`` images at all, those of other classes are taken, each once.

    Args:
        in_channels (int): Of the student's last features.
        teacher_channels (int): Of the teacher's.
        negatives (int): m. Default: 16384.
        temperature (float): tau. Default: 0.07.
        momentum (float): Share of the old row in a new one. Default: 0.5.
        channels (int): Of the embeddings. Default: 128.
        first_batch_constant (bool): Whether there is a Z; several processes take the mean of
            theirs after the first epoch. Default: True.

    Raises:
        ValueError: For numbers that are not positive, a momentum outside [0, 1).
        UserError: Before training, for images of a single class; in the first step for features of
            other sizes.
    """

    student: Tensor
    teacher: Tensor
    constants: Tensor

    def __init__(self, in_channels: int, teacher_channels: int, negatives: int = 16384,
                 temperature: float = 0.07, momentum: float = 0.5, channels: int = 128,
                 first_batch_constant: bool = True) -> None:
        super().__init__()
        if min(in_channels, teacher_channels, negatives, channels) < 1 or temperature <= 0 or not (
                0 <= momentum < 1):
            raise ValueError(
                'in_channels, teacher_channels, negatives, temperature and channels must be '
                f'positive and momentum in [0, 1), but got {in_channels}, {teacher_channels}, '
                f'{negatives}, {temperature}, {channels} and {momentum}.')
        self.student_embedding = nn.Linear(in_channels, channels)
        self.teacher_embedding = nn.Linear(teacher_channels, channels)
        self.negatives, self.temperature, self.momentum = negatives, temperature, momentum
        self.first_batch_constant = first_batch_constant

    def plan(self, num_images: int, num_classes: int, batch_size: int) -> dict[str, Tensor]:
        """A row an image for each network; sum and number of what is known of either Z / N."""
        shape = (num_images, self.student_embedding.out_features)
        return dict(student=torch.empty(shape, device='meta'),
                    teacher=torch.empty(shape, device='meta'),
                    constants=torch.empty(2, 2, device='meta'))

    def allocate(self, planned: dict[str, Tensor], device: torch.device) -> None:
        """Rows start in random directions, those of the first rank, which follow torch's seed."""
        super().allocate(planned, device)
        # Of its own: a network beside it shall start as it would without.
        generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
        for rows in (self.student, self.teacher):
            rows.copy_(F.normalize(torch.randn(rows.shape, generator=generator)))
            broadcast(rows)

    def know(self, dataset: Any) -> None:
        """The classes of all images, of which the others are not of an image's own."""
        labels, numbers = get_labels(dataset)
        numbers, first = np.unique(numbers, return_index=True)
        labels = labels[first]
        # Class of every image, -1 for one that is not trained on.
        known = np.full(len(self.student), -1)
        known[numbers] = labels
        # Images class by class, and where each class starts and ends there.
        order, sizes = numbers[np.argsort(labels, kind='stable')], np.bincount(labels)
        self._labels, self._order, self._sizes, self._starts = (
            torch.from_numpy(part).to(self.student.device)
            for part in (known, order, sizes, sizes.cumsum() - sizes))
        if len(self._order) == self._sizes.max():
            raise UserError('ContrastiveDistillLoss compares images of different classes, but all '
                            'that are trained on are of one.')

    def forward(self, step: Step) -> Tensor:
        """Mean over the images, of both networks' losses, a scalar."""
        images = self.images(step)
        embedded = [self._embed(*pair) for pair in (
            (self.student_embedding, step.features[-1]),
            (self.teacher_embedding, step.taught.features[-1]))]
        with torch.autocast(embedded[0].device.type, enabled=False):
            scores = [ours @ theirs.T / self.temperature
                      for ours, theirs in zip(embedded, (self.teacher, self.student))]
        own, (chosen, present) = images[:, None], self._choose(images)
        # How many others there are for each image, (N, 1).
        number = present.sum(1, keepdim=True)
        total, estimates = scores[0].new_zeros(()), []
        for score, (known, count) in zip(scores, self.constants):
            positive, negative = score.gather(1, own), score.gather(1, chosen)
            with torch.no_grad():
                seen = positive.exp().sum() + (negative.exp() * present).sum()
                estimates.append(seen / (number.sum() + len(own)))
                constant = torch.where(count > 0, known / count.clamp(min=1), estimates[-1])
                if not self.first_batch_constant:
                    constant = torch.full_like(constant, 1 / len(self.student))
                # h is the logistic function of x minus this.
                bend = (number * constant).log()
            total = total + F.softplus(bend - positive).sum() + (
                F.softplus(negative - bend) * present).sum()
        # What the detached Step of `update` does not have.
        self._seen = [part.detach() for part in embedded], torch.stack(estimates)
        return total / len(own)

    def _embed(self, layer: nn.Linear, features: Tensor) -> Tensor:
        if features.ndim != 2 or features.shape[1] != layer.in_features:
            name = 'in_channels' if layer is self.student_embedding else 'teacher_channels'
            raise UserError(f'ContrastiveDistillLoss({name}={layer.in_features}): the features are '
                            f'{tuple(features.shape)}, but it takes pooled ones, (N, {name}).')
        embedded = layer(features)
        return F.normalize(at_least_float32(embedded))

    def _choose(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Others of every image, and which of them count, (N, m) each, on their device."""
        labels = self._labels[images][:, None]
        if self.negatives >= len(self._order):
            return (self._order.expand(len(images), -1),
                    self._labels[self._order] != labels)
        size, start = self._sizes[labels], self._starts[labels]
        # An Apple GPU has no float64.
        exact = torch.float32 if images.device.type == 'mps' else torch.float64
        draws = torch.rand(len(images), self.negatives, dtype=exact, device=images.device)
        place = (draws * (len(self._order) - size)).long()
        place += size * (place >= start)
        return self._order[place], torch.ones_like(place, dtype=torch.bool)

    def update(self, step: Step) -> None:
        """Move the rows of a step's images towards their embeddings; keep the first Z."""
        (embedded, estimates), images = self._seen, self.images(step)
        for rows, new in zip((self.student, self.teacher), embedded):
            rows.index_copy_(0, images, F.normalize(
                self.momentum * rows[images] + (1 - self.momentum) * new.to(rows.dtype)))
        unknown = self.constants[:, 1] == 0
        self.constants += torch.stack([estimates, torch.ones_like(estimates)], 1) * unknown[:, None]

    def end_epoch(self) -> None:
        """Rows that several ranks have moved are of length 1 again."""
        for rows in (self.student, self.teacher):
            rows.copy_(F.normalize(rows))
