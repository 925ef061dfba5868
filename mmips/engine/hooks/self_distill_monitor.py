# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook, LoggerHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmips.models.batch_augments import find_patch_swaps
from mmips.registry import HOOKS

__all__ = ['SelfDistillMonitor']


@HOOKS.register_module()
class SelfDistillMonitor(Hook):
    """Log what goes on between the images of the pairs.

    Adds to the training log, over all ranks and since the last log line:

    - ``conf_gap``: mean ``|p1(y) - p2(y)|`` between the two predictions of a pair, swapped or
      not: the difference in "event difficulty" of IPS, Section 3.2; between 0 and 1.
    - ``swap_rate``: share of pairs in which patches were swapped.
    - ``mismatch_rate``: share of pairs of different labels, left out of swap and KL; the first
      time it is not 0 there is a warning, unless the model has ``allow_mismatch=True``.

    They are counted on the device and read at the log interval, so that training never waits
    for them.

    Args:
        interval (int, optional): Iterations between two readings. Default: None, the
            interval of the run's ``LoggerHook``.

    Raises:
        ValueError: At the start of training, for a model that is no
            ``mmips.SelfDistillClassifier``, or an interval below 1.
    """

    # After the step, before LoggerHook (BELOW_NORMAL) writes the line.
    priority = 'NORMAL'

    def __init__(self, interval: int | None = None) -> None:
        if interval is not None and interval < 1:
            raise ValueError(f'interval must be at least 1, but got {interval}.')
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Find what to read, and how often."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not hasattr(model, 'pop_stats'):
            raise ValueError('SelfDistillMonitor reads mmips.SelfDistillClassifier, but the model '
                             f'is {type(model).__name__}. Remove the hook or set model.type.')
        self._model = model
        self._swaps = find_patch_swaps(model)
        self._warned = False
        loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self._interval = self.interval or (loggers[0].interval if loggers else 10)

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Read the counters where a log line is due."""
        due = self.every_n_inner_iters(batch_idx, self._interval)
        if due or self.end_of_epoch(runner.train_dataloader, batch_idx):
            log = self._read()
            for name, value in log.items():
                runner.message_hub.update_scalar(f'train/{name}', value)
            if log.get('mismatch_rate') and not (self._warned or self._model.allow_mismatch):
                self._warned = True
                runner.logger.warning(
                    f'{log["mismatch_rate"]:.1%} of the last pairs have two different labels and '
                    'were left out of the KL. If that is not meant, check the sampler and the '
                    'batch augments.')

    def _read(self) -> dict[str, float]:
        stats = self._model.pop_stats()
        if stats is None:
            return {}
        counts = [c for c in (swap.pop_counts() for swap in self._swaps) if c is not None]
        swapped = torch.stack(counts).sum(0).to(stats) if counts else stats.new_zeros(2)
        total = torch.cat((stats, swapped))
        all_reduce(total)
        pairs, mismatched, gap, swapped, seen = total.tolist()
        log = dict(conf_gap=gap / max(pairs - mismatched, 1), mismatch_rate=mismatched / pairs)
        if seen:
            log['swap_rate'] = swapped / seen
        return log
