# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import os
from typing import Any

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor

from mmips.datasets.sample_numbers import count_numbers
from mmips.errors import UserError
from mmips.models.memory import Memory, find_memories
from mmips.registry import HOOKS

from .monitor import ModelHook, bare_model

KEY = 'mmips_memory'


@HOOKS.register_module()
class MemoryHook(ModelHook):
    """Keep what a method remembers: see :class:`mmips.models.memory.Memory`.

    Says its size and makes room for it before training; hands every step to the memories; makes
    all ranks remember the same at the end of each epoch, by adding up what each has changed since
    the last; saves it under ``mmips_memory`` of training checkpoints and restores it from there, so
    that a resumed run goes on as one that was never interrupted. A checkpoint saved inside an epoch
    of several ranks has what the first of them remembers.

    Raises:
        UserError: At the start of training, for a model that remembers nothing, more than is free
            on its device, single images of a dataset that does not number them, or what is made
            anew in every epoch of a run by iterations, which has one alone; on loading a
            checkpoint to resume from, if it lacks a memory or has one of another shape.
    """

    # Before CheckpointHook (VERY_LOW) saves the epoch.
    priority = 'NORMAL'

    def before_run(self, runner: Runner) -> None:
        """Make room before a checkpoint is loaded."""
        super().before_run(runner)
        self._memories: dict[str, Memory] = dict(find_memories(bare_model(runner)))
        self._common: dict[str, Tensor] = {}
        self._of_ranks: dict[str, Tensor] = {}
        if self in runner.hooks:  # Not in a rehearsal.
            self._make_room(runner)

    def _make_room(self, runner: Runner) -> None:
        model, loader = bare_model(runner), runner.train_dataloader
        if not self._memories:
            raise UserError(f'MemoryHook found nothing that {type(model).__name__} remembers. '
                            'Remove the hook.')
        of_epochs = [type(memory).__name__ for memory in self._memories.values() if memory.shared]
        # mmengine calls such a run one epoch of one: no epoch would ever end, or be the second.
        if of_epochs and isinstance(getattr(runner, 'train_loop', None), IterBasedTrainLoop):
            raise UserError(f'{", ".join(of_epochs)} remembers from epoch to epoch, and this run '
                            'is iteration-based: write train_cfg=dict(by_epoch=True, '
                            'max_epochs=...).')
        number = count_numbers(loader.dataset)
        # That of a loader that was given a batch sampler is None.
        size = loader.batch_sampler.batch_size
        planned = {name: memory.plan(number, model.head.num_classes, size)
                   for name, memory in self._memories.items()}
        sizes = ', '.join(f'{name}.{key} {tuple(tensor.shape)}' for name, plan in planned.items()
                          for key, tensor in plan.items())
        # Several ranks compare with a copy.
        need = (1 + (get_world_size() > 1)) * sum(
            tensor.nbytes for plan in planned.values() for tensor in plan.values())
        device = next(model.parameters()).device
        text = f'Remembered beside the weights: {sizes}; {need / 2**20:.1f} MiB a process'
        if need > (free := free_bytes(device)):
            raise UserError(f'{text}, but {free / 2**20:.1f} MiB are there on {device}. Take a '
                            'method that remembers classes instead of images, or fewer images.')
        runner.logger.info(f'{text}.')
        for name, memory in self._memories.items():
            memory.allocate(planned[name], device)
            memory.know(loader.dataset)

    def before_train(self, runner: Runner) -> None:
        """What all ranks have in common."""
        self._common = self._copy()

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Remember the step."""
        step = bare_model(runner).last_step
        for memory in self._memories.values():
            memory.update(step)

    def after_train_epoch(self, runner: Runner) -> None:
        """Add up over the ranks what each has changed."""
        buffers = self._buffers()
        # In place: rows of all images may leave no room for a third copy.
        for name, common in self._common.items():
            buffers[name].sub_(common)
            all_reduce(buffers[name])
            buffers[name].add_(common)
        for memory in self._memories.values():
            memory.end_epoch()
        for name, common in self._common.items():
            common.copy_(buffers[name])
        # All ranks have to take part, and the first alone saves.
        self._of_ranks = {name: torch.stack(all_gather(buffer)).cpu()
                          for name, buffer in self._buffers(shared=False).items()}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the memories into the checkpoint."""
        checkpoint[KEY] = {
            **{name: buffer.cpu().clone() for name, buffer in self._buffers().items()},
            **{name: self._of_ranks[name] if get_world_size() > 1 and name in self._of_ranks
               else buffer.cpu().clone().expand(get_world_size(), *buffer.shape)
               for name, buffer in self._buffers(shared=False).items()}}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take them out of one to resume from; one to start from has none."""
        if not runner._resume:
            return
        saved = checkpoint.get(KEY, {})
        own = self._buffers(shared=False)
        for name, buffer in {**self._buffers(), **own}.items():
            shape = (get_world_size(), *buffer.shape) if name in own else tuple(buffer.shape)
            found = tuple(saved[name].shape) if name in saved else 'nothing'
            if found != shape:
                raise UserError(f'The checkpoint remembers {found} for {name}, but the model '
                                f'{shape}: resume from one of the same config, data and number of '
                                'processes, or start anew.')
            buffer.copy_(saved[name][get_rank()] if name in own else saved[name])

    def _buffers(self, shared: bool = True) -> dict[str, Tensor]:
        return {f'{name}.{key}': buffer for name, memory in self._memories.items()
                if memory.shared == shared for key, buffer in memory.remembered().items()}

    def _copy(self) -> dict[str, Tensor]:
        # Only several ranks have anything to compare with.
        return {name: buffer.clone() for name, buffer in self._buffers().items()
                if get_world_size() > 1}


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a GPU, or all that this machine has."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
