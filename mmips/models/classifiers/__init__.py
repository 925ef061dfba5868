# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .self_distill_classifier import SelfDistillClassifier

__all__ = ['SelfDistillClassifier']
