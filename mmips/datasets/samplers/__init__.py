# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .infinite_paired_class_sampler import InfinitePairedClassSampler
from .paired_class_sampler import PairedClassSampler

__all__ = ['InfinitePairedClassSampler', 'PairedClassSampler']
