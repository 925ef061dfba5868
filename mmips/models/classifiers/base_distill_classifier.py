# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import MessageHub, print_log
from mmpretrain.models import ClsHead, DeiTClsHead, EfficientFormerClsHead, ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mmips.structures import Step
from mmips.structures.batch_samples import BatchSamples


class BaseDistillClassifier(ImageClassifier):
    """What our classifiers share: a head with a plain loss, and the Step of each batch.

    Prediction, features and the checkpoint are ``ImageClassifier``'s. The last step is left,
    detached, in ``last_step``: hooks read it, so that a model without hooks counts nothing.

    Raises:
        TypeError: For a head that does not classify by logits and a loss on them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The last training step, detached; None before the first.
        self.last_step: Step | None = None
        head = self.head
        # ImageClassifier allows no head, for features alone: `loss` is refused there.
        if head is not None and not takes_plain_loss(head):
            raise TypeError(
                f'{type(head).__name__} does not compute its loss from one logit tensor alone, or '
                f'has a second classifier for a teacher. {type(self).__name__} needs a head like '
                "dict(type='LinearClsHead', ...).")
        if getattr(head, 'cal_acc', False) and self.data_preprocessor.batch_augments is not None:
            # mmpretrain refuses it beside batch augments, since labels arrive as scores.
            print_log('Training accuracy (cal_acc) is switched off beside batch augments.',
                      logger='current')
            head.cal_acc = False

    @torch.compiler.disable
    def make_step(self, logits: Tensor, data_samples: Sequence[DataSample],
                  features: tuple = ()) -> Step:
        """The Step of a batch; ``logits`` (N, K), one sample an image."""
        numbers = (data_samples.sample_idx if isinstance(data_samples, BatchSamples) else
                   [sample.get('sample_idx') for sample in data_samples])
        # mmengine's RuntimeInfoHook keeps the progress.
        hub = MessageHub.get_current_instance()
        return Step(logits, stack_targets(data_samples), features,
                    None if None in numbers else torch.tensor(numbers),
                    hub.get_info('epoch', 0), hub.get_info('max_epochs', 0))

    @torch.compiler.disable
    def leave(self, step: Step) -> None:
        """Leave the step behind for the hooks."""
        self.last_step = step.detach()


def takes_plain_loss(head: Any) -> bool:
    """Whether a head's loss is that of one logit tensor, which is what pairs are made of.

    Heads with a loss of their own (ArcFace needs the target for its margin) would be trained
    without it, those with a classifier for a teacher (distilled DeiT, LeViT) have it trained by
    labels.
    """
    if not isinstance(head, ClsHead) or type(head)._get_loss is not ClsHead._get_loss:
        return False
    taught = isinstance(head, DeiTClsHead) or any(
        getattr(head, name, False) for name in ('distillation', 'dist'))
    # EfficientFormer's own `loss` only refuses to distil.
    plain = type(head).loss is ClsHead.loss or isinstance(head, EfficientFormerClsHead)
    return plain and not taught


def stack_targets(data_samples: Sequence[DataSample]) -> Tensor:
    """Labels (N,), or scores (N, K) where batch augments have made them."""
    if isinstance(data_samples, BatchSamples):
        return data_samples.target
    if 'gt_score' in data_samples[0]:
        return torch.stack([sample.gt_score for sample in data_samples])
    return torch.cat([sample.gt_label for sample in data_samples])
