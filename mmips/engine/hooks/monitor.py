# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

from mmengine.hooks import Hook, LoggerHook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner


def bare_model(runner: Runner) -> Any:
    """The model without what distributes it, or tests it on several views."""
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


class Monitor(Hook):
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
