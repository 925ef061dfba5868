# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .kd_loss import KDLoss
from .pair_kl_loss import PairKLLoss

__all__ = ['KDLoss', 'PairKLLoss']
