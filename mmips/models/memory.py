# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mmips.errors import UserError
from mmips.structures import Step


class Memory(nn.Module):
    """Base of targets and losses that remember: class means, predictions of every image, ...

    ``mmips.MemoryHook`` makes room for what is remembered, calls :meth:`update` after every step
    and :meth:`end_epoch` after every epoch, makes all ranks remember the same, and keeps it in
    training checkpoints under a key of its own. ``forward`` only reads. What is remembered
    follows the model to its device, and is no buffer of it: the ``state_dict`` stays that of a
    plain classifier, and an average of the weights leaves it alone.
    """
    #: Whether all ranks remember the same: at the end of an epoch what each has changed is added
    #: up. Otherwise each keeps its own, such as its last batch.
    shared = True
    _planned: tuple[str, ...] = ()

    def plan(self, num_images: int, num_classes: int, batch_size: int) -> dict[str, Tensor]:
        """What will be remembered: names, and tensors on the meta device; all start at zero.

        ``batch_size`` is that of the data loader, the images of one process.
        """
        raise NotImplementedError(f'{type(self).__name__} must say what it remembers: plan()')

    def update(self, step: Step) -> None:
        """Remember a step, detached, on its device; rows of images by ``step.sample_idx``."""
        raise NotImplementedError(f'{type(self).__name__} must remember steps: update()')

    def end_epoch(self) -> None:
        """What is left to do when all ranks remember the same; by default nothing."""

    def images(self, step: Step) -> Tensor:
        """Number of every image of a step, int64 (N,) on the device of its logits.

        Raises:
            UserError: Where the data set's numbers did not reach the model.
        """
        if step.sample_idx is None:
            raise UserError(f'{type(self).__name__} remembers single images, but the batch has no '
                            "sample_idx: leave it in PackInputs, meta_keys=('sample_idx', ...).")
        return step.sample_idx.to(step.logits.device, non_blocking=True)

    def allocate(self, planned: dict[str, Tensor], device: torch.device) -> None:
        """Make room for what :meth:`plan` names, as attributes of these names."""
        self._planned = tuple(planned)
        for name, tensor in planned.items():
            setattr(self, name, torch.zeros_like(tensor, device=device))

    def _apply(self, fn: Callable, recurse: bool = True) -> Memory:
        super()._apply(fn, recurse)
        for name, tensor in self.remembered().items():
            setattr(self, name, fn(tensor))
        return self

    def know(self, dataset: Any) -> None:
        """What there is to know of the training data before the first step; by default nothing."""

    def remembered(self) -> dict[str, Tensor]:
        """What this module alone remembers, by name; nothing before there is room."""
        return {name: getattr(self, name) for name in self._planned}

    def __call__(self, step: Step) -> Tensor:
        """``forward``, once there is room to remember."""
        if not self.remembered():
            raise UserError(f'{type(self).__name__} remembers, but nothing keeps its memory. Write '
                            "custom_hooks=[..., dict(type='mmips.MemoryHook')].")
        return super().__call__(step)


def find_memories(model: nn.Module) -> Iterator[tuple[str, Memory]]:
    """All memories in a model, by their name there."""
    return ((name, part) for name, part in model.named_modules() if isinstance(part, Memory))
