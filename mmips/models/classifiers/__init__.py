# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .base_distill_classifier import BaseDistillClassifier
from .distill_classifier import DistillClassifier
from .self_distill_classifier import SelfDistillClassifier
from .teacher_distill_classifier import TeacherDistillClassifier

__all__ = ['BaseDistillClassifier', 'DistillClassifier', 'SelfDistillClassifier',
           'TeacherDistillClassifier']
