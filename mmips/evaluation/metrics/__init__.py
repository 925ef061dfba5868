# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .safety_metrics import SafetyMetrics

__all__ = ['SafetyMetrics']
