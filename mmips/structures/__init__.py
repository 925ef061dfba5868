# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .pairs import (
    check_even,
    fold_pairs,
    join_index_pairs,
    join_pairs,
    pairs_match,
    split_pairs,
    unfold_pairs,
)
from .step import Step

__all__ = [
    'Step', 'check_even', 'fold_pairs', 'join_index_pairs', 'join_pairs', 'pairs_match',
    'split_pairs', 'unfold_pairs'
]
