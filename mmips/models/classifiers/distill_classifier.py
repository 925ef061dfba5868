# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from mmips.registry import MODELS

from .base_distill_classifier import BaseDistillClassifier


@MODELS.register_module()
class DistillClassifier(BaseDistillClassifier):
    """An image classifier on ordinary batches, with a ``target`` or a loss ``distill`` of a method.

    Its arguments are those of :class:`BaseDistillClassifier`; pairs have
    :class:`SelfDistillClassifier`. What learns in ``distill`` and ``target`` is trained with the
    network, stays in training checkpoints, and is dropped when the backbone is published.
    """
