# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import contextlib
from typing import Any

from mmengine.hooks import Hook, LoggerHook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch.distributed.fsdp import FullyShardedDataParallel


def bare_model(runner: Runner) -> Any:
    """The model without what distributes it, or tests it on several views."""
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def whole_weights(runner: Runner) -> Any:
    """A context in which every process has all weights, also those that FSDP shares out."""
    model = runner.model
    return (model.summon_full_params(model) if isinstance(model, FullyShardedDataParallel)
            else contextlib.nullcontext())


def is_rehearsal(runner: Runner) -> bool:
    """Whether a tool runs the hooks of a config with something that stands for its model and data.

    mmpretrain's ``vis_scheduler`` does, to see the learning rate: its model has no backbone, its
    loader is a list of numbers without a sampler.
    """
    loop = getattr(runner, '_train_loop', None)
    return isinstance(loop, BaseLoop) and not (
        hasattr(bare_model(runner), 'backbone') or hasattr(loop.dataloader, 'sampler'))


class ModelHook(Hook):
    """Base of what looks into the model: leaves a rehearsal, where it would refuse to train."""

    def before_run(self, runner: Runner) -> None:
        """Leave, or stay; called before any other method."""
        if is_rehearsal(runner):
            runner.logger.info(f'{type(self).__name__} is left out: this is not its model.')
            # Another list: the runner goes through this one.
            runner._hooks = [hook for hook in runner.hooks if hook is not self]


class Monitor(ModelHook):
    """Base of what samples steps on the device and reads them when a log line is due."""

    # After the step, before LoggerHook (BELOW_NORMAL) writes the line.
    priority = 'NORMAL'

    def __init__(self, interval: int | None = None, sample_interval: int | None = None) -> None:
        for name, value in dict(interval=interval, sample_interval=sample_interval).items():
            if value is not None and value < 1:
                raise ValueError(f'{name} must be at least 1, but got {value}.')
        self.interval = interval
        self.sample_interval = sample_interval

    def before_train(self, runner: Runner) -> None:
        """Find the iterations between two log lines, by default LoggerHook's, and two samples."""
        loggers = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self._interval = self.interval or next(iter(loggers), 10)
        self._every = self.sample_interval or max(1, self._interval // 10)

    def is_due(self, runner: Runner, batch_idx: int) -> bool:
        """Whether to read: where there is a log line, and at the end of an epoch."""
        return (self.every_n_inner_iters(batch_idx, self._interval)
                or self.end_of_epoch(runner.train_dataloader, batch_idx))
