# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .cutout import CutOut
from .disturb_label import DisturbLabel
from .intra_class_patch_swap import IntraClassPatchSwap, find_patch_swaps
from .pairwise_batch_augment import PairwiseBatchAugment
from .sequential_batch_augment import SequentialBatchAugment

__all__ = [
    'CutOut', 'DisturbLabel', 'IntraClassPatchSwap', 'PairwiseBatchAugment',
    'SequentialBatchAugment', 'find_patch_swaps'
]
