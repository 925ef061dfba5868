# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from mmengine.logging import MessageHub, print_log
from mmpretrain.models import ClsHead, DeiTClsHead, EfficientFormerClsHead, ImageClassifier
from mmpretrain.models.losses import FocalLoss
from mmpretrain.structures import DataSample
from torch import Tensor

from mmips.errors import UserError
from mmips.functional.pair_kl import ACTIVATIONS
from mmips.registry import MODELS
from mmips.structures import Step
from mmips.structures.batch_samples import BatchSamples


@MODELS.register_module()
class DistillClassifier(ImageClassifier):
    """An image classifier whose loss is gamma * CE + alpha * distill, on ordinary batches.

    Prediction, features and the checkpoint are ``ImageClassifier``'s. What learns in ``distill``
    and ``target`` is trained with the network, stays in training checkpoints, and is dropped when
    the backbone is published. The last step is left, detached, in ``last_step``: hooks read it, so
    that a model without hooks counts nothing. Our other classifiers, such as
    :class:`SelfDistillClassifier` for pairs, derive from this one.

    Args:
        *args: As ``ImageClassifier``.
        alpha (float): Weight of ``distill``. Default: 1.
        gamma (float): Weight of the cross entropy. Default: 1.
        distill (dict, optional): Config of a loss, a module that makes a scalar of a
            :class:`mmips.structures.Step`. Default: None, cross entropy alone.
        target (dict, optional): Config of a module that makes soft labels (N, K) of a Step,
            which then take the labels' place in the cross entropy. Default: None.
        **kwargs: As ``ImageClassifier``.

    Raises:
        ValueError: For negative weights.
        TypeError: For a head that does not classify by logits and a loss on them.
        UserError: For a ``distill`` or ``target`` of the softmax under a loss of the sigmoid, and
            the reverse.
    """

    #: What losses of the class's own, not of ``distill``, take of the logits.
    activation: str | None = None
    #: Images that are seen for each that the data loader gives.
    images_per_input = 1

    def __init__(self, *args: Any, alpha: float = 1.0, gamma: float = 1.0,
                 distill: dict | None = None, target: dict | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if alpha < 0 or gamma < 0:
            raise ValueError('alpha and gamma weigh losses and cannot be negative, but got '
                             f'alpha={alpha}, gamma={gamma}.')
        self.alpha, self.gamma = alpha, gamma
        self.distill = None if distill is None else MODELS.build(distill)
        self.target = None if target is None else MODELS.build(target)
        #: The last training step, detached; None before the first.
        self.last_step: Step | None = None
        head = self.head
        # ImageClassifier allows no head, for features alone: `loss` is refused there.
        if head is not None and not takes_plain_loss(head):
            raise TypeError(
                f'{type(head).__name__} does not compute its loss from one logit tensor alone, or '
                f'has a second classifier for a teacher. {type(self).__name__} needs a head like '
                "dict(type='LinearClsHead', ...).")
        self._check_activations()
        if getattr(head, 'cal_acc', False) and self.data_preprocessor.batch_augments is not None:
            # mmpretrain refuses it beside batch augments, since labels arrive as scores.
            print_log('Training accuracy (cal_acc) is switched off beside batch augments.',
                      logger='current')
            head.cal_acc = False

    def _check_activations(self) -> None:
        """Refuse what learns from other probabilities than those that the head's loss trains."""
        wanted = head_activation(self.head)
        for name, part in (('type', self), ('distill', self.distill), ('target', self.target)):
            activation = getattr(part, 'activation', None)
            # In a part of somebody's own it may be anything, such as a ReLU.
            if self.with_head and activation in ACTIVATIONS and activation != wanted:
                advice = (f"{name}=dict(type='mmips.{type(part).__name__}', activation={wanted!r})"
                          if 'activation' in vars(part) else
                          "head=dict(loss=dict(_delete_=True, type='CrossEntropyLoss'))")
                raise UserError(
                    f'model.{name}: {type(part).__name__} learns from the {activation} of the '
                    f'logits, but {type(self.head.loss_module).__name__} trains them through a '
                    f'{wanted}. Write {advice}.')

    def loss(self, inputs: Tensor, data_samples: Sequence[DataSample]) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Args:
            inputs (Tensor): Images (N, C, H, W).
            data_samples (Sequence[DataSample]): Their labels, or scores where batch augments are
                set.

        Returns:
            dict[str, Tensor]: ``loss_ce``, ``loss_kd`` (both weighted; the latter only with
            ``distill``) and what else the head reports.

        Raises:
            UserError: Without a head, or where the backbone's last stage does not reach it.
        """
        self.check_head()
        step = self.see(inputs, data_samples)
        losses = self.cross_entropy(step, data_samples)
        if self.distill is not None:
            # Skipped rather than multiplied by 0, where an overflow would become NaN.
            losses['loss_kd'] = (self.alpha * self.distill(step) if self.alpha else
                                 step.logits.new_zeros(()))
        self.leave(step)
        return losses

    def check_head(self) -> None:
        """Raise ``UserError`` in a network for features alone, and for a last stage left out."""
        if not self.with_head:
            raise UserError(f'{type(self).__name__} learns from logits, but model.head is None, '
                            "for features alone: write head=dict(type='LinearClsHead', ...).")
        check_last_stage(self.backbone)

    def see(self, inputs: Tensor, data_samples: Sequence[DataSample]) -> Step:
        """The Step of a batch."""
        return self.make_step(self.forward_maps(inputs), data_samples)

    def forward_maps(self, inputs: Tensor) -> tuple:
        """What the backbone gives of all images: (N, C, H, W) for each of its ``out_indices``."""
        return self.extract_feat(inputs, stage='backbone')

    def cross_entropy(self, step: Step, data_samples: Sequence[DataSample]) -> dict[str, Tensor]:
        """``loss_ce``, and the head's accuracies."""
        if not self.gamma:
            return dict(loss_ce=step.logits.new_zeros(()))
        target = step.target if self.target is None else self.target(step)
        return self._head_loss(step.logits, target, data_samples)

    def _head_loss(self, logits: Tensor, target: Tensor, data_samples: Sequence[DataSample]
                   ) -> dict[str, Tensor]:
        # The head makes its target of the samples, one by one: only where it needs them.
        losses = (self.head._get_loss(logits, data_samples)
                  if self.head.cal_acc and self.target is None else
                  dict(loss=self.head.loss_module(logits, target, avg_factor=len(logits))))
        losses['loss_ce'] = self.gamma * losses.pop('loss')
        return losses

    def make_step(self, maps: tuple, data_samples: Sequence[DataSample]) -> Step:
        """The Step of a batch of which the backbone gave ``maps``."""
        features = pooled_features(self, maps)
        # mmengine's RuntimeInfoHook keeps the progress.
        hub = MessageHub.get_current_instance()
        return Step(self.head(features), stack_targets(data_samples), features, maps,
                    sample_numbers(data_samples), hub.get_info('epoch', 0),
                    hub.get_info('max_epochs', 0), lambda pooled: self.head((pooled, )))

    @torch.compiler.disable
    def leave(self, step: Step) -> None:
        """Leave the step behind for the hooks."""
        self.last_step = step.detach()


@torch.compiler.disable
def sample_numbers(data_samples: Sequence[DataSample]) -> Tensor | None:
    """The data set's own number of every image, int64 (N,) on the CPU; None where it has none,
    or names in place of numbers.
    """
    numbers = (data_samples.sample_idx if isinstance(data_samples, BatchSamples) else
               [sample.get('sample_idx') for sample in data_samples])
    return torch.tensor(numbers) if all(isinstance(each, Integral) for each in numbers) else None


def pooled_features(model: ImageClassifier, maps: tuple) -> tuple:
    """What a classifier's neck makes of the backbone's maps; the maps where it has none."""
    features = model.neck(maps) if model.with_neck else maps
    return features if isinstance(features, tuple) else (features, )


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


def head_activation(head: Any) -> str:
    """What a head's loss takes its logits through: 'sigmoid' (such as BCE does) or 'softmax'."""
    loss = getattr(head, 'loss_module', None)
    inner = getattr(loss, 'ce', loss)  # LabelSmoothLoss's own.
    # mmpretrain's focal loss knows nothing else, and does not say so.
    sigmoid = isinstance(inner, FocalLoss) or bool(getattr(inner, 'use_sigmoid', False))
    return 'sigmoid' if sigmoid else 'softmax'


def check_last_stage(backbone: Any) -> None:
    """Raise ``UserError`` where ``out_indices`` end before the last stage.

    A loss on stages asks for their indices, which are others in a ResNet than in a VGG, whose last
    two stages are equally wide: the head would fit the last but one.
    """
    stages, given = len(getattr(backbone, 'stage_blocks', ())), getattr(backbone, 'out_indices', ())
    if stages and max(given, default=-1) < stages - 1:
        raise UserError(
            f'The head takes the last map that {type(backbone).__name__} gives, but out_indices='
            f'{tuple(given)} leave out the last of its {stages} stages, number {stages - 1}: add '
            'it to model.backbone.out_indices, or set num_stages for a shorter network.')


def stack_targets(data_samples: Sequence[DataSample]) -> Tensor:
    """Labels (N,), or scores (N, K) where batch augments have made them."""
    if isinstance(data_samples, BatchSamples):
        return data_samples.target
    if 'gt_score' in data_samples[0]:
        return torch.stack([sample.gt_score for sample in data_samples])
    return torch.cat([sample.gt_label for sample in data_samples])
