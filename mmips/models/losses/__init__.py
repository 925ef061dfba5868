# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .bake_loss import BAKELoss
from .ddgsd_loss import DDGSDLoss
from .last_batch_loss import LastBatchLoss
from .light_skd_loss import LightSKDLoss
from .pair_kl_loss import PairKLLoss

__all__ = ['BAKELoss', 'DDGSDLoss', 'LastBatchLoss', 'LightSKDLoss', 'PairKLLoss']
