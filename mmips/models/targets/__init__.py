# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .online_label_smoothing import OnlineLabelSmoothing
from .progressive_target import ProgressiveTarget

__all__ = ['OnlineLabelSmoothing', 'ProgressiveTarget']
