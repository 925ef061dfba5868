# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Iterable
from typing import Any

import torch
from mmengine.model import ModuleList
from torch import Tensor

from mmips.models.exits import StageExit

from .distill_classifier import DistillClassifier


class BaseExitClassifier(DistillClassifier):
    """A ResNet with an exit after each of its first three stages, in training alone.

    What is added is trained with the network, stays in training checkpoints, and is dropped when
    the backbone is published. Prediction is the plain network's.

    Args:
        *args: As ``ImageClassifier``.
        **kwargs: As ``ImageClassifier``, and ``alpha`` and ``gamma`` of
            :class:`DistillClassifier`.

    Raises:
        ValueError: For a backbone that does not give the maps of four stages, and for ``distill``
            and ``target``.
    """
    activation = 'softmax'

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.distill is not None or self.target is not None:
            raise ValueError(f'{type(self).__name__} has losses and targets of its own: leave out '
                             'distill and target.')
        #: None in a network for features alone.
        self.exits: Any = self.make_exits() if self.with_head else None

    def make_exits(self) -> ModuleList:
        """Three exits, by default of the backbone's own later stages."""
        return StageExit.copies(self.backbone, self.head.num_classes)

    def exit_outputs(self, maps: tuple) -> tuple[list[Tensor], list[Tensor]]:
        """Final maps and logits of the three exits, of the backbone's four maps."""
        finals, logits = zip(*(leave(each) for leave, each in zip(self.exits, maps)))
        return list(finals), list(logits)

    def plain_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """The head's loss, of any exit's logits."""
        return self.head.loss_module(logits, target, avg_factor=len(logits))


def total(losses: Iterable[Tensor]) -> Tensor:
    """Their sum."""
    return torch.stack(list(losses)).sum()
