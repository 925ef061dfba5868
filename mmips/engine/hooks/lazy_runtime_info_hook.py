# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from mmips.engine.hooks.monitor import Monitor
from mmips.registry import HOOKS


@HOOKS.register_module()
class LazyRuntimeInfoHook(RuntimeInfoHook, Monitor):
    """mmengine's ``RuntimeInfoHook``, which reads losses at the log interval and not every step.

    A loss that is read makes the host wait for the device. The log is the same to the last digit.
    Besides, mmengine copies all of a value's history for each new one, 0.8 ms after 187,000 steps:
    it is kept for an epoch, unless ``log_processor`` has a 'global' window.
    Use as ``default_hooks=dict(runtime_info=dict(type='mmips.LazyRuntimeInfoHook'))``.
    """

    def before_train(self, runner: Runner) -> None:
        """Take the interval from the run's ``LoggerHook``."""
        super().before_train(runner)
        Monitor.before_train(self, runner)
        self._kept: list[tuple[str, Tensor]] = []
        processor = runner.log_processor
        windows = [processor.window_size,
                   *(part.get('window_size') for part in processor.custom_cfg)]
        self._history = None if 'global' in windows else max(
            len(runner.train_dataloader), *(size for size in windows if isinstance(size, int)))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Keep what was logged on the device, and read it where a line is due."""
        self._kept += [(name, torch.as_tensor(value, dtype=torch.float).detach())
                       for name, value in (outputs or {}).items()]
        if self._kept and self.is_due(runner, batch_idx):
            # One copy for all values of the interval.
            names, values = zip(*self._kept)
            self._kept = []
            for name, value in zip(names, torch.stack(values).tolist()):
                runner.message_hub.update_scalar(f'train/{name}', value)
            for buffer in runner.message_hub.log_scalars.values() if self._history else ():
                buffer.max_length = self._history
