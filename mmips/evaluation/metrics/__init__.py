# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .class_scores import ClassScores
from .safety_metrics import SafetyMetrics

__all__ = ['ClassScores', 'SafetyMetrics']
