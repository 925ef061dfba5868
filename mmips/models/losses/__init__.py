# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .ddgsd_loss import DDGSDLoss
from .pair_kl_loss import PairKLLoss
from .virtual_teacher_loss import VirtualTeacherLoss

__all__ = ['DDGSDLoss', 'PairKLLoss', 'VirtualTeacherLoss']
