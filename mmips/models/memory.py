# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mmips.errors import UserError
from mmips.structures import Step


class Memory(nn.Module):
    """Base of targets and losses that remember: class means, predictions of every image, ...

    ``mmips.MemoryHook`` makes room for what is remembered, calls :meth:`update` after every step
    and :meth:`end_epoch` after every epoch, makes all ranks remember the same, and keeps it in
    training checkpoints under a key of its own. ``forward`` only reads. The buffers follow the
    model to its device and are not persistent: the ``state_dict`` stays that of a plain
    classifier.
    """
    #: Whether all ranks remember the same: at the end of an epoch what each has changed is added
    #: up. Otherwise each keeps its own, such as its last batch.
    shared = True

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
        """Number of every image of a step, int64 (N,) on the device of its logits."""
        return self.sample_numbers(step).to(step.logits.device, non_blocking=True)

    def sample_numbers(self, step: Step) -> Tensor:
        """Number of every image of a step, int64 (N,) on the CPU.

        Raises:
            UserError: Where the data set's numbers did not reach the model.
        """
        if step.sample_idx is None:
            raise UserError(f'{type(self).__name__} remembers single images, but the batch has no '
                            "sample_idx: leave it in PackInputs, meta_keys=('sample_idx', ...).")
        return step.sample_idx

    def allocate(self, planned: dict[str, Tensor], device: torch.device) -> None:
        """Make the buffers of :meth:`plan`."""
        for name, tensor in planned.items():
            self.register_buffer(name, torch.zeros_like(tensor, device=device), persistent=False)

    def know(self, dataset: Any) -> None:
        """What there is to know of the training data before the first step; by default nothing."""

    def remembered(self) -> dict[str, Tensor]:
        """The non-persistent buffers of this module alone, by name."""
        return {name: buffer for name, buffer in self._buffers.items()
                if buffer is not None and name in self._non_persistent_buffers_set}

    def __call__(self, step: Step) -> Tensor:
        """``forward``, once there is room to remember."""
        if not self.remembered():
            raise UserError(f'{type(self).__name__} remembers, but nothing keeps its memory. Write '
                            "custom_hooks=[..., dict(type='mmips.MemoryHook')].")
        return super().__call__(step)


def find_memories(model: nn.Module) -> Iterator[tuple[str, Memory]]:
    """All memories in a model, by their name there."""
    return ((name, part) for name, part in model.named_modules() if isinstance(part, Memory))
