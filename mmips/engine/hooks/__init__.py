# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from mmips.compat import has_package

from .check_invalid_loss import CheckInvalidLoss
from .check_loaded import CheckLoaded
from .check_pretrained import CheckPretrained
from .epoch_seed_hook import EpochSeedHook
from .fast_step_hook import FastStepHook
from .gradient_monitor import GradientMonitor
from .lazy_runtime_info_hook import LazyRuntimeInfoHook

__all__ = ['CheckInvalidLoss', 'CheckLoaded', 'CheckPretrained', 'EpochSeedHook', 'FastStepHook',
           'GradientMonitor', 'LazyRuntimeInfoHook']

if has_package('mmpretrain'):
    from .memory_hook import MemoryHook  # noqa: F401
    from .patch_swap_schedule import PatchSwapSchedule  # noqa: F401
    from .self_distill_monitor import SelfDistillMonitor  # noqa: F401
    __all__ += ['MemoryHook', 'PatchSwapSchedule', 'SelfDistillMonitor']
