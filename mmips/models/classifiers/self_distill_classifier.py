# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmpretrain.models import ClsHead, DeiTClsHead, EfficientFormerClsHead, ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmips.functional import pair_kl_grad
from mmips.models.batch_augments import find_patch_swaps
from mmips.models.losses import PairKLLoss
from mmips.registry import MODELS
from mmips.structures import check_even, join_pairs, pairs_match, split_pairs

__all__ = ['SelfDistillClassifier']


@MODELS.register_module()
class SelfDistillClassifier(ImageClassifier):
    """An image classifier that distils between the two images of every pair.

    The training loss is that of IPS, Eq. 3, gamma * CE + alpha * KL: cross entropy of every
    image with its own label, averaged over both halves, plus a temperature-softened KL
    between the two predictions of each pair. Everything else, prediction, features and the
    checkpoint, is ``ImageClassifier``'s: no parameter, buffer or key is added.

    The first training step checks, before any weight changes, that the batch consists of
    pairs of one label (an ordinary batch can pass by chance only where it and the classes are
    very few). Later steps leave pairs of different labels out of the KL and count them;
    ``mmips.SelfDistillMonitor`` logs the share and warns.

    Args:
        *args: As ``ImageClassifier``.
        alpha (float): Weight of the KL. Default: 1.
        gamma (float): Weight of the cross entropy. Default: 1.
        distill (dict): Config of the pair loss. Default: ``mmips.PairKLLoss``, T = 4.
        ce_on (str): Images the cross entropy covers: 'both' halves, or the 'query' half
            alone, which with ``alpha=0`` is the paper's "+Swap" row (Table 10).
        joint_forward (bool): One forward of all 2P images, or one for the queries and one
            for the partners, which gives each half its own BatchNorm statistics.
            Default: True (inferred).
        allow_mismatch (bool): Accept pairs of different labels in the first step, for
            pairings of your own that are meant to hold some. Default: False.
        **kwargs: As ``ImageClassifier``.

    Raises:
        ValueError: For negative weights or an unknown ``ce_on``.
        TypeError: For a head that does not classify by logits and a loss on them.
    """

    def __init__(self,
                 *args: Any,
                 alpha: float = 1.0,
                 gamma: float = 1.0,
                 distill: dict | None = None,
                 ce_on: str = 'both',
                 joint_forward: bool = True,
                 allow_mismatch: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if alpha < 0 or gamma < 0:
            raise ValueError('alpha and gamma weigh losses and cannot be negative, but got '
                             f'alpha={alpha}, gamma={gamma}.')
        if ce_on not in ('both', 'query'):
            raise ValueError(f"ce_on must be 'both' or 'query', but got {ce_on!r}.")
        self.alpha = alpha
        self.gamma = gamma
        self.distill = MODELS.build(distill or dict(type='mmips.PairKLLoss'))
        self.ce_on = ce_on
        self.joint_forward = joint_forward
        self.allow_mismatch = allow_mismatch
        self._checked = False
        # Not a buffer: a buffer would be broadcast by DDP, averaged by EMA and copied to
        # every checkpoint of a naive `state_dict`.
        self._stats: Tensor | None = None
        self._split_stats: Tensor | None = None
        #: Whether the next steps count the KL's gradient; ``mmips.SelfDistillMonitor`` sets it.
        self.count_kd_grad = False
        self._prepare_head()

    def _prepare_head(self) -> None:
        head = self.head
        if not takes_plain_loss(head):
            raise TypeError(
                f'{type(head).__name__} does not compute its loss from one logit tensor alone, or '
                'has a second classifier for a teacher. SelfDistillClassifier needs a head like '
                "dict(type='LinearClsHead', ...).")
        if head.cal_acc and self.data_preprocessor.batch_augments is not None:
            # mmpretrain refuses it beside batch augments, since labels arrive as scores.
            print_log('Training accuracy (cal_acc) is switched off beside batch augments.',
                      logger='current')
            head.cal_acc = False

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Compute the losses of a batch of pairs (IPS, Eq. 1 to 3).

        Args:
            inputs (Tensor): Images (2P, C, H, W), pairs interleaved.
            data_samples (list[DataSample]): Their labels, or scores where batch augments
                are set.

        Returns:
            dict[str, Tensor]: ``loss_ce``, ``loss_kd`` (both weighted) and what else the
            head reports.

        Raises:
            ValueError: For an odd batch; in the first step also for pairs whose labels
                differ, unless ``allow_mismatch``.
        """
        check_even(len(inputs))
        target = _stack_targets(data_samples)
        matched = pairs_match(target)
        if not self._checked:
            self._check_pairs(matched)
        logits = self._forward_pairs(inputs)
        losses = self._cross_entropy(logits, data_samples)
        query, partner = split_pairs(logits)
        # Skipped rather than multiplied by 0, where an overflow would become NaN.
        losses['loss_kd'] = (
            self.alpha * self.distill(query, partner, matched)
            if self.alpha else losses['loss_ce'].new_zeros(()))
        self._count(query.detach(), partner.detach(), target, matched)
        return losses

    def _forward_pairs(self, inputs: Tensor) -> Tensor:
        if self.joint_forward:
            return self.head(self.extract_feat(inputs))
        return join_pairs(*(self.head(self.extract_feat(half)) for half in split_pairs(inputs)))

    def _cross_entropy(self, logits: Tensor, data_samples: Sequence[DataSample]) -> dict:
        if self.ce_on == 'query':
            logits, data_samples = split_pairs(logits)[0], split_pairs(data_samples)[0]
        losses = self.head._get_loss(logits, data_samples)
        losses['loss_ce'] = self.gamma * losses.pop('loss')
        return losses

    @torch.compiler.disable
    def _check_pairs(self, matched: Tensor) -> None:
        # The one place that waits for the device, once a run.
        wrong = int((~matched).sum())
        if wrong and not self.allow_mismatch:
            raise ValueError(
                f'{wrong} of {len(matched)} pairs in the first batch have different labels: the KL '
                'would pull different classes together. Use '
                "train_dataloader=dict(sampler=dict(type='mmips.PairedClassSampler')), or "
                'allow_mismatch=True if the pairing is meant to be like this.')
        self._checked = True

    @torch.compiler.disable
    @torch.no_grad()
    def _count(self, query: Tensor, partner: Tensor, target: Tensor, matched: Tensor) -> None:
        """Add [pairs, mismatched pairs, summed confidence gap] to the running counts."""
        target, _ = split_pairs(target)
        gap = (_confidence(query, target) - _confidence(partner, target)).abs()
        stats = torch.stack((torch.full_like(gap, 1), (~matched).float(), gap * matched)).sum(1)
        self._stats = stats if self._stats is None else self._stats.add_(stats)
        columns = [gap, self._kd_grad(query, partner)] if self._counts_kd_grad() else [gap]
        self._count_split(columns, matched)

    def _counts_kd_grad(self) -> bool:
        # The closed form is that of our loss, whatever else is registered.
        return self.count_kd_grad and type(self.distill) is PairKLLoss

    def _kd_grad(self, query: Tensor, partner: Tensor) -> Tensor:
        kl = self.distill
        grads = pair_kl_grad(query, partner, kl.temperature, kl.scale_by_t2, kl.detach,
                             kl.symmetric)
        return torch.cat(grads, 1).abs().sum(1)

    def _count_split(self, columns: Sequence[Tensor], matched: Tensor) -> None:
        swapped = torch.zeros_like(matched)
        for swap in find_patch_swaps(self):
            last = swap.pop_swapped()
            if last is not None:
                swapped |= last.to(swapped.device)
        groups = torch.stack((matched & ~swapped, matched & swapped))
        stats = matched.new_zeros((2, 4), dtype=torch.float32)
        for place, column in enumerate(columns):
            stats[:, 2 * place] = groups.sum(1)
            # Chosen, not multiplied: an infinite logit would spoil the other group as well. And
            # by a tensor, since a number would be copied to the device, which waits.
            stats[:, 2 * place + 1] = column.where(groups, column.new_zeros(())).sum(1)
        self._split_stats = stats if self._split_stats is None else self._split_stats.add_(stats)

    def pop_stats(self) -> Tensor | None:
        """Counts since the last call, float32 (3,) on the device, or None.

        Pairs seen, pairs of different labels, and the sum over the other pairs of the
        confidence gap ``|p1(y) - p2(y)|`` (IPS, Section 3.4).
        """
        stats, self._stats = self._stats, None
        return stats

    def pop_split_stats(self) -> Tensor | None:
        """Counts of the pairs of one label since the last call, or None.

        Float32 (2, 4) on the device: rows for raw and for swapped pairs; columns for their
        number, the sum of their confidence gaps, the number of those in steps with
        ``count_kd_grad`` set, and the sum over these of the L1 norm of the gradient of the
        pair's KL with respect to its 2K logits (:func:`mmips.functional.pair_kl_grad`;
        ``alpha`` is left out).
        """
        stats, self._split_stats = self._split_stats, None
        return stats


def takes_plain_loss(head: Any) -> bool:
    """Whether a head's loss is that of one logit tensor, which is what pairs are made of.

    Heads with a loss of their own (ArcFace needs the target for its margin) would be trained
    without it, and those with a classifier for a teacher (distilled DeiT, LeViT,
    EfficientFormer) would have it trained by labels.
    """
    if not isinstance(head, ClsHead) or type(head)._get_loss is not ClsHead._get_loss:
        return False
    taught = isinstance(head, DeiTClsHead) or any(
        getattr(head, name, False) for name in ('distillation', 'dist'))
    # EfficientFormer's own `loss` only refuses to distil.
    plain = type(head).loss is ClsHead.loss or isinstance(head, EfficientFormerClsHead)
    return plain and not taught


def _stack_targets(data_samples: Sequence[DataSample]) -> Tensor:
    if 'gt_score' in data_samples[0]:
        return torch.stack([sample.gt_score for sample in data_samples])
    return torch.cat([sample.gt_label for sample in data_samples])


def _confidence(logits: Tensor, target: Tensor) -> Tensor:
    """Probability of the target, (P,); of soft targets the expected one."""
    prob = logits.float().softmax(1)
    if target.ndim == 1:
        return prob.gather(1, target[:, None]).squeeze(1)
    return (prob * target).sum(1)
