# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.structures import DataSample
from torch import Tensor

from mmips.errors import UserError
from mmips.models.losses import PairKLLoss
from mmips.registry import MODELS
from mmips.structures import check_even, join_pairs, pairs_match, split_pairs

from .distill_classifier import DistillClassifier, head_activation, stack_targets


@MODELS.register_module()
class SelfDistillClassifier(DistillClassifier):
    """An image classifier that distils between the two images of every pair.

    The training loss is that of IPS, Eq. 3, gamma * CE + alpha * KL: cross entropy of every
    image with its own label, averaged over both halves, plus a temperature-softened KL
    between the two predictions of each pair. Everything else, prediction, features and the
    checkpoint, is ``ImageClassifier``'s: no parameter, buffer or key is added.

    The first training step checks, before any weight changes, that the batch consists of
    pairs of one label (an ordinary batch can pass by chance only where it and the classes are
    very few). Later steps leave pairs of different labels out of the KL;
    ``mmips.SelfDistillMonitor`` logs their share and warns.

    Args:
        *args: As ``ImageClassifier``.
        alpha (float): Weight of the KL. Default: 1.
        gamma (float): Weight of the cross entropy. Default: 1.
        distill (dict): Config of the pair loss, a module that makes a scalar of a
            :class:`mmips.structures.Step`. Default: ``mmips.PairKLLoss``, T = 4, of the softmax or,
            where the head's loss takes a sigmoid (binary cross entropy), of the sigmoid.
        target (dict, optional): Config of a module that makes soft labels (N, K) of a Step,
            which then take the labels' place in the cross entropy. Default: None.
        ce_on (str): Images the cross entropy covers: 'both' halves, or the 'query' half
            alone, which with ``alpha=0`` is the paper's "+Swap" row (Table 10).
        joint_forward (bool): One forward of all 2P images, or one for the queries and one
            for the partners, which gives each half its own BatchNorm statistics.
            Default: True (inferred).
        partner_grad (bool): If False, the backbone's forward of the partners is made without
            gradient (CS-KD, with ``detach='partner'`` in ``distill``). Default: True.
        allow_mismatch (bool): Accept pairs of different labels in the first step, for
            pairings of your own that are meant to hold some. Default: False.
        **kwargs: As ``ImageClassifier``.

    Raises:
        ValueError: For negative weights, an unknown ``ce_on``, and ``partner_grad=False`` with
            a loss on the partners or a joint forward.
        TypeError: For a head that does not classify by logits and a loss on them; a model without
            one gives features.
        UserError: For a ``distill`` or ``target`` of the softmax under a loss of the sigmoid, and
            the reverse.
    """

    def __init__(self,
                 *args: Any,
                 alpha: float = 1.0,
                 gamma: float = 1.0,
                 distill: dict | None = None,
                 target: dict | None = None,
                 ce_on: str = 'both',
                 joint_forward: bool = True,
                 partner_grad: bool = True,
                 allow_mismatch: bool = False,
                 **kwargs: Any) -> None:
        super().__init__(*args, alpha=alpha, gamma=gamma, target=target, distill=distill, **kwargs)
        if self.distill is None:
            self.distill = PairKLLoss(activation=head_activation(self.head))
        if ce_on not in ('both', 'query'):
            raise ValueError(f"ce_on must be 'both' or 'query', but got {ce_on!r}.")
        if not partner_grad and (joint_forward or ce_on == 'both'):
            raise ValueError('partner_grad=False leaves the partners without gradient, so they '
                             "need a forward of their own, joint_forward=False, and ce_on='query'.")
        self.ce_on = ce_on
        self.joint_forward = joint_forward
        self.partner_grad = partner_grad
        self.allow_mismatch = allow_mismatch
        self._checked = False

    def loss(self, inputs: Tensor, data_samples: Sequence[DataSample]) -> dict[str, Tensor]:
        """Compute the losses of a batch of pairs (IPS, Eq. 1 to 3).

        Args:
            inputs (Tensor): Images (2P, C, H, W), pairs interleaved.
            data_samples (Sequence[DataSample]): Their labels, or scores where batch augments
                are set.

        Returns:
            dict[str, Tensor]: ``loss_ce``, ``loss_kd`` (both weighted) and what else the
            head reports.

        Raises:
            UserError: For an odd batch, and without a head; in the first step also for pairs
                whose labels differ, unless ``allow_mismatch``.
        """
        check_even(len(inputs))
        if not self._checked:
            self._check_pairs(pairs_match(stack_targets(data_samples)))
        return super().loss(inputs, data_samples)

    def forward_maps(self, inputs: Tensor) -> tuple:
        """Of one forward of all images, or of one for the queries and one for the partners."""
        if self.joint_forward:
            return super().forward_maps(inputs)
        query, partner = split_pairs(inputs)
        query_maps = super().forward_maps(query)
        with torch.set_grad_enabled(self.partner_grad and torch.is_grad_enabled()):
            partner_maps = super().forward_maps(partner)
        return tuple(map(join_pairs, query_maps, partner_maps))

    def _head_loss(self, logits: Tensor, target: Tensor, data_samples: Sequence[DataSample]
                   ) -> dict[str, Tensor]:
        if self.ce_on == 'query':
            logits, target = split_pairs(logits)[0], split_pairs(target)[0]
            data_samples = split_pairs(data_samples)[0]
        return super()._head_loss(logits, target, data_samples)

    @torch.compiler.disable
    def _check_pairs(self, matched: Tensor) -> None:
        # The one place that waits for the device, once a run.
        wrong = int((~matched).sum())
        if wrong and not self.allow_mismatch:
            raise UserError(
                f'{wrong} of {len(matched)} pairs in the first batch have different labels: the KL '
                'would pull different classes together. Use '
                "train_dataloader=dict(sampler=dict(type='mmips.PairedClassSampler')), or "
                'allow_mismatch=True if the pairing is meant to be like this.')
        self._checked = True
