# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .fer_loss import FERLoss
from .max_sup_loss import MaxSupLoss
from .pair_kl_loss import PairKLLoss
from .uskd_loss import USKDLoss
from .virtual_teacher_loss import VirtualTeacherLoss
from .zipf_loss import ZipfLoss

__all__ = ['FERLoss', 'MaxSupLoss', 'PairKLLoss', 'USKDLoss', 'VirtualTeacherLoss', 'ZipfLoss']
