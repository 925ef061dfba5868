# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

from mmengine.dist import all_reduce, get_world_size
from mmengine.runner import Runner
from torch import Tensor

from mmips.errors import UserError
from mmips.models.memory import Memory, find_memories
from mmips.registry import HOOKS

from .monitor import ModelHook, bare_model

KEY = 'mmips_memory'


@HOOKS.register_module()
class MemoryHook(ModelHook):
    """Keep what a method remembers: see :class:`mmips.models.memory.Memory`.

    Says its size before training; hands every step to the memories; makes all ranks remember the
    same at the end of each epoch, by adding up what each has changed since the last; saves it
    under ``mmips_memory`` of training checkpoints and restores it from there, so that a resumed run
    goes on as one that was never interrupted. A checkpoint saved inside an epoch of several
    ranks has what the first of them remembers.

    Raises:
        UserError: At the start of training, for a model that remembers nothing; on loading a
            checkpoint to resume from, if it lacks a memory or has one of another shape.
    """

    # Before CheckpointHook (VERY_LOW) saves the epoch.
    priority = 'NORMAL'

    def before_run(self, runner: Runner) -> None:
        """Find the memories before a checkpoint is loaded."""
        super().before_run(runner)
        self._memories: dict[str, Memory] = dict(find_memories(bare_model(runner)))
        self._common: dict[str, Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        """Say the size."""
        buffers = self._buffers()
        if not buffers:
            raise UserError(f'MemoryHook found nothing that {type(runner.model).__name__} '
                            'remembers. Remove the hook.')
        sizes = ', '.join(f'{name} {tuple(buffer.shape)}' for name, buffer in buffers.items())
        total = sum(buffer.nbytes for buffer in buffers.values()) / 2**20
        runner.logger.info(f'Remembered beside the weights: {sizes}; {total:.1f} MiB a process.')
        self._common = self._copy()

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Remember the step."""
        step = bare_model(runner).last_step
        for memory in self._memories.values():
            memory.update(step)

    def after_train_epoch(self, runner: Runner) -> None:
        """Add up over the ranks what each has changed."""
        buffers = self._buffers()
        for name, common in self._common.items():
            change = buffers[name] - common
            all_reduce(change)
            buffers[name].copy_(common + change)
        self._common = self._copy()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the memories into the checkpoint."""
        checkpoint[KEY] = {name: buffer.cpu().clone()
                           for name, buffer in self._buffers().items()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take them out of one to resume from; one to start from has none."""
        if not runner._resume:
            return
        saved = checkpoint.get(KEY, {})
        for name, buffer in self._buffers().items():
            found = tuple(saved[name].shape) if name in saved else 'nothing'
            if found != tuple(buffer.shape):
                raise UserError(f'The checkpoint remembers {found} for {name}, but the model '
                                f'{tuple(buffer.shape)}: resume from one of the same config and '
                                'data, or start anew.')
            buffer.copy_(saved[name])

    def _buffers(self) -> dict[str, Tensor]:
        return {f'{name}.{key}': buffer for name, memory in self._memories.items()
                for key, buffer in memory.remembered().items()}

    def _copy(self) -> dict[str, Tensor]:
        # Only several ranks have anything to compare with.
        return {name: buffer.clone() for name, buffer in self._buffers().items()
                if get_world_size() > 1}
