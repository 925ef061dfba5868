# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .base_exit_classifier import BaseExitClassifier
from .be_your_own_teacher_classifier import BeYourOwnTeacherClassifier
from .distill_classifier import DistillClassifier
from .mix_self_distill_classifier import MixSelfDistillClassifier
from .self_distill_classifier import SelfDistillClassifier
from .teacher_distill_classifier import TeacherDistillClassifier

__all__ = [
    'BaseExitClassifier', 'BeYourOwnTeacherClassifier', 'DistillClassifier',
    'MixSelfDistillClassifier', 'SelfDistillClassifier', 'TeacherDistillClassifier',
]
