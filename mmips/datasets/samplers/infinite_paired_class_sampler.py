# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Iterator
from itertools import chain, count, islice
from typing import Any

from mmips.registry import DATA_SAMPLERS

from .paired_class_sampler import PairedClassSampler


@DATA_SAMPLERS.register_module()
class InfinitePairedClassSampler(PairedClassSampler):
    """The epochs of ``PairedClassSampler`` one after the other, without an end.

    For iteration-based loops. A resumed run jumps to its place without loading, or even drawing,
    what it skips (:meth:`skip`, which mmengine from 0.10.8 on calls).

    Args:
        *args: As :class:`PairedClassSampler`.
        **kwargs: The same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._skipped = 0

    def skip(self, num_samples: int) -> None:
        """Start the next iteration after ``num_samples`` indices of this rank, an even number."""
        if num_samples < 0 or num_samples % 2:
            raise ValueError(f'num_samples must be even and not negative, but got {num_samples}.')
        self._skipped = num_samples

    def __iter__(self) -> Iterator[int]:
        """Indices of this rank, query and partner in turn, for ever."""
        epoch, skip = divmod(self._skipped, len(self))
        return islice(chain.from_iterable(map(self._indices, count(epoch))), skip, None)
