# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Iterator

from torch import Tensor, nn

from mmips.structures import Step


class Memory(nn.Module):
    """Base of targets and losses that remember: class means, predictions of every image, ...

    What is remembered are buffers registered with ``persistent=False``: they follow the model
    to its device, and the ``state_dict`` stays that of a plain classifier.
    ``mmips.MemoryHook`` calls :meth:`update` after every step, makes all ranks remember the
    same, and keeps it in training checkpoints under a key of its own. ``forward`` only reads.
    """

    def update(self, step: Step) -> None:
        """Remember a step, detached, on its device; rows of images by ``step.sample_idx``."""
        raise NotImplementedError(f'{type(self).__name__} must say what it remembers: update()')

    def remembered(self) -> dict[str, Tensor]:
        """The non-persistent buffers of this module alone, by name."""
        return {name: buffer for name, buffer in self._buffers.items()
                if buffer is not None and name in self._non_persistent_buffers_set}


def find_memories(model: nn.Module) -> Iterator[tuple[str, Memory]]:
    """All memories in a model, by their name there."""
    return ((name, part) for name, part in model.named_modules() if isinstance(part, Memory))
