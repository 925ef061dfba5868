# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmips.models.batch_augments import find_patch_swaps
from mmips.registry import HOOKS

from .gradient_monitor import check_intervals, find_intervals, log_scalars

__all__ = ['SelfDistillMonitor']


@HOOKS.register_module()
class SelfDistillMonitor(Hook):
    """Log what goes on between the images of the pairs.

    Adds to the training log, over all ranks and since the last log line:

    - ``conf_gap``: mean ``|p1(y) - p2(y)|`` between the two predictions of a pair: the
      difference in "event difficulty" of IPS, Section 3.2; between 0 and 1.
    - ``kd_grad``: L1 norm of the gradient of the pair's KL with respect to its 2K logits, mean
      over the pairs of the sampled steps: Figure 5. The KL is that of the loss, with its T,
      T^2 and ``detach``, but without ``alpha``. The paper's formula, in the confidences in the
      target, did not survive in its text; this is the whole gradient, in closed form
      (``mmips.functional.pair_kl_grad``). Left out if ``distill`` is not ``mmips.PairKLLoss``.
    - ``conf_gap_swapped``, ``kd_grad_swapped``, ``conf_gap_raw``, ``kd_grad_raw``: the same of
      the pairs in which patches were swapped, and of the others; each only where there are any.
    - ``swap_rate``: share of pairs in which patches were swapped.
    - ``mismatch_rate``: share of pairs of different labels, left out of swap, KL and all of the
      above; the first time it is not 0 there is a warning, unless the model has
      ``allow_mismatch=True``.

    They are counted on the device and read at the log interval, so that training never waits
    for them. A sample of ``kd_grad`` is 0.5 % of a step of a small network on 64 images, and 0.01 %
    of a ResNet-18 on 128, on a CPU (``benchmarks/run.py monitor``).

    Args:
        interval (int, optional): Iterations between two readings. Default: None, the
            interval of the run's ``LoggerHook``.
        sample_interval (int, optional): Iterations between two samples of ``kd_grad``.
            Default: None, a tenth of ``interval``, at least 1.

    Raises:
        ValueError: At the start of training, for a model that is no
            ``mmips.SelfDistillClassifier``, or an interval below 1.
    """

    # After the step, before LoggerHook (BELOW_NORMAL) writes the line.
    priority = 'NORMAL'

    def __init__(self, interval: int | None = None, sample_interval: int | None = None) -> None:
        check_intervals(interval=interval, sample_interval=sample_interval)
        self.interval = interval
        self.sample_interval = sample_interval

    def before_train(self, runner: Runner) -> None:
        """Find what to read, and how often."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not hasattr(model, 'pop_stats'):
            raise ValueError('SelfDistillMonitor reads mmips.SelfDistillClassifier, but the model '
                             f'is {type(model).__name__}. Remove the hook or set model.type.')
        self._model = model
        self._swaps = find_patch_swaps(model)
        self._warned = False
        self._interval, self._every = find_intervals(runner, self.interval, self.sample_interval)

    def before_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Tell the model whether this step's gradient of the KL is wanted."""
        self._model.count_kd_grad = batch_idx % self._every == 0

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Read the counters where a log line is due."""
        due = self.every_n_inner_iters(batch_idx, self._interval)
        if due or self.end_of_epoch(runner.train_dataloader, batch_idx):
            log = self._read()
            log_scalars(runner, log)
            if log.get('mismatch_rate') and not (self._warned or self._model.allow_mismatch):
                self._warned = True
                runner.logger.warning(
                    f'{log["mismatch_rate"]:.1%} of the last pairs have two different labels and '
                    'were left out of the KL. If that is not meant, check the sampler and the '
                    'batch augments.')

    def _read(self) -> dict[str, float | None]:
        stats, split = self._model.pop_stats(), self._model.pop_split_stats()
        if stats is None:
            return {}
        counts = [c for c in (swap.pop_counts() for swap in self._swaps) if c is not None]
        swapped = torch.stack(counts).sum(0).to(stats) if counts else stats.new_zeros(2)
        total = torch.cat((stats, swapped, split.flatten()))
        all_reduce(total)
        pairs, mismatched, gap, swapped, seen, *split = total.tolist()
        log = dict(conf_gap=gap / max(pairs - mismatched, 1), mismatch_rate=mismatched / pairs)
        if seen:
            log['swap_rate'] = swapped / seen
        return {**log, **_split_log(split[:4], split[4:])}


def _split_log(raw: list[float], swapped: list[float]) -> dict[str, float | None]:
    """Means from the two rows of ``SelfDistillClassifier.pop_split_stats``."""
    every = [one + other for one, other in zip(raw, swapped)]
    log = {'kd_grad': _mean(every[2:])}
    for name, row in dict(swapped=swapped, raw=raw).items():
        log |= {f'conf_gap_{name}': _mean(row[:2]), f'kd_grad_{name}': _mean(row[2:])}
    return log


def _mean(count_and_sum: list[float]) -> float | None:
    count, total = count_and_sum
    return total / count if count else None
