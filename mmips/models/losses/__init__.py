# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .ddgsd_loss import DDGSDLoss
from .last_batch_loss import LastBatchLoss
from .pair_kl_loss import PairKLLoss
from .virtual_teacher_loss import VirtualTeacherLoss

__all__ = ['DDGSDLoss', 'LastBatchLoss', 'PairKLLoss', 'VirtualTeacherLoss']
