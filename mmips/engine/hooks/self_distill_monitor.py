# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from dataclasses import replace
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.runner import Runner
from torch import Tensor

from mmips.errors import UserError
from mmips.models.batch_augments import find_patch_swaps
from mmips.models.classifiers import SelfDistillClassifier
from mmips.models.memory import find_memories
from mmips.registry import HOOKS
from mmips.structures import Step, split_pairs

from .monitor import Monitor, bare_model


@HOOKS.register_module()
class SelfDistillMonitor(Monitor):
    """Log what goes on between the images of the pairs.

    Adds to the training log, over all ranks and since the last log line:

    - ``conf_gap``: mean ``|p1(y) - p2(y)|`` between the two predictions of a pair: the
      difference in "event difficulty" of IPS, Section 3.2; between 0 and 1.
    - ``kd_grad``: L1 norm of the gradient of the pair loss with respect to the pair's 2K logits,
      times the number of pairs of one label, since a pair loss is their mean; averaged over
      these pairs of the sampled steps: Figure 5. By autograd, for any ``distill`` on logits and
      the last features; without ``alpha``. Left out for one that remembers, since it would not be
      asked the same a second time. The paper's formula, in the confidences in the target, did not
      survive in its text; this is the whole gradient.
    - ``conf_gap_swapped``, ``kd_grad_swapped``, ``conf_gap_raw``, ``kd_grad_raw``: the same of
      the pairs in which patches were swapped, and of the others; each only where there are any.
    - ``swap_rate``: share of pairs in which patches were swapped.
    - ``mismatch_rate``: share of pairs of different labels, left out of swap, KL and all of the
      above; the first time it is not 0 there is a warning, unless the model has
      ``allow_mismatch=True``.

    They are counted on the device, from the step that the classifier and the mask that the swap
    leave behind, and read at the log interval, so that training never waits for them (cost:
    ``benchmarks/run.py monitor``).

    Args:
        interval (int, optional): Iterations between two readings. Default: None, the
            interval of the run's ``LoggerHook``.
        sample_interval (int, optional): Iterations between two samples of ``kd_grad``.
            Default: None, a tenth of ``interval``, at least 1.

    Raises:
        UserError: At the start of training, for a model that leaves no steps of pairs, or an
            interval below 1.
    """

    def before_train(self, runner: Runner) -> None:
        """Find what to read, and how often."""
        super().before_train(runner)
        model = bare_model(runner)
        if not isinstance(model, SelfDistillClassifier):
            raise UserError('SelfDistillMonitor reads mmips.SelfDistillClassifier, but the model '
                            f'is {type(model).__name__}. Remove the hook or set model.type.')
        self._model = model
        self._distill = model.distill
        if any(name.startswith('distill') for name, _ in find_memories(model)):
            self._distill = None
            runner.logger.info(f'SelfDistillMonitor logs no kd_grad: {type(model.distill).__name__}'
                               ' remembers what it has seen.')
        self._swaps = find_patch_swaps(model)
        self._warned = False
        self._counts: Tensor | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Forget the last masks: of several augments only one has its turn in a batch."""
        for swap in self._swaps:
            swap.last_mask = None

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Count, and read the counts where a log line is due."""
        step = self._model.last_step
        if step is not None:
            masks = [swap.last_mask for swap in self._swaps if swap.last_mask is not None]
            distill = self._distill if batch_idx % self._every == 0 else None
            counts = count_pairs(step, masks, distill)
            self._counts = counts if self._counts is None else self._counts.add_(counts)
        if not self.is_due(runner, batch_idx):
            return
        log = self._read()
        for name, value in log.items():
            if value is None:  # What was logged last would be out of date.
                runner.message_hub.log_scalars.pop(f'train/{name}', None)
            else:
                runner.message_hub.update_scalar(f'train/{name}', value)
        if log.get('mismatch_rate') and not (self._warned or self._model.allow_mismatch):
            self._warned = True
            runner.logger.warning(
                f'{log["mismatch_rate"]:.1%} of the last pairs have two different labels and were '
                'left out of the KL. If that is not meant, check the sampler and the batch '
                'augments.')

    def _read(self) -> dict[str, float | None]:
        counts, self._counts = self._counts, None
        if counts is None:
            return {}
        all_reduce(counts)
        (pairs, matched, swapped, seen), *groups = counts.tolist()
        whole = [sum(values) for values in zip(*groups)]
        log: dict[str, float | None] = dict(
            mismatch_rate=1 - matched / pairs, swap_rate=_mean(seen, swapped))
        for name, (number, gap, samples, grad) in zip(('', '_raw', '_swapped'), (whole, *groups)):
            log[f'conf_gap{name}'] = _mean(number, gap)
            log[f'kd_grad{name}'] = _mean(samples, grad)
        return log


@torch.no_grad()
def count_pairs(step: Step, masks: list[Tensor], distill: Any = None) -> Tensor:
    """What a detached step adds to the log, float32 (3, 4) on its device.

    ``masks`` are those of the patch swaps that had their turn, bool (P, rows, cols), ``distill``
    is the pair loss whose gradient is wanted. First row: pairs, pairs of one label, pairs swapped,
    pairs that a swap saw. Then a row for raw and one for swapped pairs of one label: their number,
    the sum of their confidence gaps, the number of those with a gradient, the sum of its L1 norms.
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
        gradient, = torch.autograd.grad(distill(replace(step, logits=logits)), logits)
    return gradient.abs().sum(1) * matched.sum()


def _confidence(step: Step) -> Tensor:
    """Probability of the target, (N,); of soft targets the expected one."""
    prob = step.logits.float().softmax(1)
    if step.target.ndim == 1:
        return prob.gather(1, step.target[:, None]).squeeze(1)
    return (prob * step.target).sum(1)


def _mean(count: float, total: float) -> float | None:
    return total / count if count else None
