# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from mmips.models.batch_augments import find_patch_swaps
from mmips.registry import HOOKS
from mmips.structures import Step, split_pairs

from .gradient_monitor import check_intervals, find_intervals, log_scalars

__all__ = ['SelfDistillMonitor']


@HOOKS.register_module()
class SelfDistillMonitor(Hook):
    """Log what goes on between the images of the pairs.

    Adds to the training log, over all ranks and since the last log line:

    - ``conf_gap``: mean ``|p1(y) - p2(y)|`` between the two predictions of a pair: the
      difference in "event difficulty" of IPS, Section 3.2; between 0 and 1.
    - ``kd_grad``: L1 norm of the gradient of the pair loss with respect to the pair's 2K logits,
      times the number of pairs of one label, since a pair loss is their mean; averaged over
      these pairs of the sampled steps: Figure 5. By autograd, for any ``distill``; without
      ``alpha``. The paper's formula, in the confidences in the target, did not survive in its
      text; this is the whole gradient.
    - ``conf_gap_swapped``, ``kd_grad_swapped``, ``conf_gap_raw``, ``kd_grad_raw``: the same of
      the pairs in which patches were swapped, and of the others; each only where there are any.
    - ``swap_rate``: share of pairs in which patches were swapped.
    - ``mismatch_rate``: share of pairs of different labels, left out of swap, KL and all of the
      above; the first time it is not 0 there is a warning, unless the model has
      ``allow_mismatch=True``.

    They are counted on the device, from the step that the classifier and the mask that the
    swap leave behind, and read at the log interval, so that training never waits for them
    (cost: ``benchmarks/run.py monitor``).

    Args:
        interval (int, optional): Iterations between two readings. Default: None, the
            interval of the run's ``LoggerHook``.
        sample_interval (int, optional): Iterations between two samples of ``kd_grad``.
            Default: None, a tenth of ``interval``, at least 1.

    Raises:
        ValueError: At the start of training, for a model that leaves no steps of pairs, or an
            interval below 1.
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
        if not hasattr(model, 'distill') or not hasattr(model, 'last_step'):
            raise ValueError('SelfDistillMonitor reads mmips.SelfDistillClassifier, but the model '
                             f'is {type(model).__name__}. Remove the hook or set model.type.')
        self._model = model
        self._swaps = find_patch_swaps(model)
        self._warned = False
        self._counts: Tensor | None = None
        self._interval, self._every = find_intervals(runner, self.interval, self.sample_interval)

    def before_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Forget the last masks: of several augments only one has its turn in a batch."""
        for swap in self._swaps:
            swap.last_mask = None

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Count, and read the counts where a log line is due."""
        step = self._model.last_step
        if step is not None:
            masks = [swap.last_mask for swap in self._swaps if swap.last_mask is not None]
            distill = self._model.distill if batch_idx % self._every == 0 else None
            counts = count_pairs(step, masks, distill)
            self._counts = counts if self._counts is None else self._counts.add_(counts)
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
        counts, self._counts = self._counts, None
        if counts is None:
            return {}
        all_reduce(counts)
        (pairs, matched, swapped, seen), raw, swap = counts.tolist()
        log: dict[str, float | None] = dict(
            conf_gap=(raw[1] + swap[1]) / max(matched, 1), mismatch_rate=1 - matched / pairs)
        if seen:
            log['swap_rate'] = swapped / seen
        log['kd_grad'] = _mean(raw[2] + swap[2], raw[3] + swap[3])
        for name, (number, gap, samples, grad) in dict(swapped=swap, raw=raw).items():
            log |= {f'conf_gap_{name}': _mean(number, gap), f'kd_grad_{name}': _mean(samples, grad)}
        return log


@torch.no_grad()
def count_pairs(step: Step, masks: list[Tensor], distill: Any = None) -> Tensor:
    """What a step adds to the log, float32 (3, 4) on its device.

    Args:
        step (Step): Detached.
        masks (list[Tensor]): Of the patch swaps that had their turn, bool (P, rows, cols).
        distill (nn.Module, optional): Pair loss whose gradient is wanted. Default: None.

    Returns:
        Tensor: First row pairs, pairs of one label, pairs swapped, pairs that a swap saw. Then a
        row for raw and one for swapped pairs of one label: their number, the sum of their
        confidence gaps, the number of those with a gradient, the sum of its L1 norms.
    """
    matched = step.matched
    query, partner = split_pairs(_confidence(step))
    columns = [(query - partner).abs()]
    if distill is not None:
        columns.append(sum(split_pairs(_gradient(step, distill, matched))))  # type: ignore
    swaps = [mask.flatten(1).any(1).to(matched.device) for mask in masks]
    swapped = torch.stack(swaps).any(0) if swaps else torch.zeros_like(matched)
    groups = torch.stack((matched & ~swapped, matched & swapped))
    counts = columns[0].new_zeros((3, 4))
    counts[0, 0] = len(matched)
    counts[0, 1] = matched.sum()
    counts[0, 2] = sum(swap.sum() for swap in swaps)
    counts[0, 3] = len(swaps) * len(matched)
    for place, column in enumerate(columns):
        counts[1:, 2 * place] = groups.sum(1)
        # Chosen, not multiplied: an infinite logit would spoil the other group as well. And
        # by a tensor, since a number would be copied to the device, which waits.
        counts[1:, 2 * place + 1] = column.where(groups, column.new_zeros(())).sum(1)
    return counts


def _gradient(step: Step, distill: Any, matched: Tensor) -> Tensor:
    """L1 norm of the pair loss's gradient for every image, (N,), times the pairs in its mean."""
    with torch.enable_grad():
        logits = step.logits.float().requires_grad_()
        gradient, = torch.autograd.grad(distill(step.with_logits(logits)), logits)
    return gradient.abs().sum(1) * matched.sum()


def _confidence(step: Step) -> Tensor:
    """Probability of the target, (N,); of soft targets the expected one."""
    prob = step.logits.float().softmax(1)
    if step.target.ndim == 1:
        return prob.gather(1, step.target[:, None]).squeeze(1)
    return (prob * step.target).sum(1)


def _mean(count: float, total: float) -> float | None:
    return total / count if count else None
