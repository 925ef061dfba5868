# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Parts that were tried beside IPS, and are not in the package (docs/next_step.md).

``custom_imports=dict(imports=['benchmarks.candidates'])`` registers them.
"""
from .augments import CentreKeepingSwap, LowResolutionPartner, MinedPairs
from .losses import (
    BatchClassKLLoss,
    ClassMeanKLLoss,
    PartnerMemoryKLLoss,
    ScheduledPairKLLoss,
    StandardizedPairKLLoss,
    SumLoss,
)

__all__ = [
    'BatchClassKLLoss', 'CentreKeepingSwap', 'ClassMeanKLLoss', 'LowResolutionPartner',
    'MinedPairs', 'PartnerMemoryKLLoss', 'ScheduledPairKLLoss', 'StandardizedPairKLLoss', 'SumLoss'
]
