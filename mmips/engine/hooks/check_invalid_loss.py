# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner
from torch import Tensor

from mmips.engine.hooks.monitor import Monitor
from mmips.errors import UserError
from mmips.registry import HOOKS


@HOOKS.register_module()
class CheckInvalidLoss(Monitor):
    """Stop the run when its loss becomes NaN or infinite, before weights are saved that are lost.

    Losses are kept on the device and read where a log line is due, and before a checkpoint is
    saved. In mixed precision a loss may overflow now and then, and its step is skipped: there
    the run ends when all losses since the last look are invalid.

    Args:
        interval (int, optional): Iterations between two looks. Default: ``LoggerHook``'s.

    Raises:
        UserError: With the first such iteration, the last checkpoint and the usual causes.
    """

    # Before CheckpointHook (VERY_LOW) saves, after the hooks that read the step.
    priority = 'LOW'

    def __init__(self, interval: int | None = None) -> None:
        super().__init__(interval)
        self._kept: list[Tensor] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None,
                         outputs: dict | None = None) -> None:
        """Keep the loss, and look at it from time to time."""
        if outputs and 'loss' in outputs:
            self._kept.append(torch.as_tensor(outputs['loss']).detach())
        if self.is_due(runner, batch_idx):
            self._look(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Look before a checkpoint is written."""
        self._look(runner)

    def _look(self, runner: Runner) -> None:
        if not self._kept:
            return
        valid = torch.stack(self._kept).isfinite().tolist()
        self._kept = []
        tolerated = isinstance(runner.optim_wrapper, AmpOptimWrapper) and any(valid)
        if all(valid) or tolerated:
            return
        first = runner.iter - len(valid) + 1 + valid.index(False)
        # Written after its checkpoint, unlike the message hub's `last_ckpt`.
        pointer = Path(runner.work_dir, 'last_checkpoint')
        saved = pointer.read_text() if pointer.is_file() else ''
        raise UserError(
            f'The loss is NaN or infinite since iteration {first + 1} (epoch {runner.epoch + 1}). '
            + (f'The last checkpoint is from before: {os.path.basename(saved)}. ' if saved else
               'No checkpoint was saved before. ')
            + 'The usual causes: a learning rate that is too high (optim_wrapper.optimizer.lr; '
            'without a warm-up, for another batch size), mixed precision (--amp), NaN in the '
            'images, boxes without area. optim_wrapper.clip_grad=dict(max_norm=35) often helps.')
