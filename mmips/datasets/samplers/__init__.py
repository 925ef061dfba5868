# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .grouped_class_sampler import GroupedClassSampler
from .infinite_paired_class_sampler import InfinitePairedClassSampler
from .overlapping_batch_sampler import OverlappingBatchSampler
from .paired_class_sampler import PairedClassSampler

__all__ = ['GroupedClassSampler', 'InfinitePairedClassSampler', 'OverlappingBatchSampler',
           'PairedClassSampler']
