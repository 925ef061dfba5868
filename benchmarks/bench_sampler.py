# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The paired sampler at ImageNet's size."""
import statistics
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable, Sized
from typing import Any

from mmengine.dataset import DefaultSampler

from benchmarks.sampler_rivals import LabelArray, PerIndexSampler, make_labels
from benchmarks.timing import Options, interleave, ratio, table
from mmips.datasets.samplers import PairedClassSampler

__all__ = ['run']

_BASE = 'mmengine DefaultSampler'
_SAMPLERS: dict[str, Callable[[Any], Any]] = {
    _BASE: lambda data: DefaultSampler(data, shuffle=True, seed=0),
    "**ours, epoch='queries'**": lambda data: PairedClassSampler(data, seed=0),
    "**ours, epoch='images'**": lambda data: PairedClassSampler(data, epoch='images', seed=0),
    'per-index Python sampler': PerIndexSampler,
}


def run(options: Options) -> list[str]:
    """The table of samplers."""
    images = 2_000 if options.tiny else 100_000 if options.quick else 1_281_167
    data = LabelArray(make_labels(images, images // 1_281))
    lengths = {name: len(make(data)) for name, make in _SAMPLERS.items()}
    both = interleave({name: _bind(make, data) for name, make in _SAMPLERS.items()},
                      options.repeats(10), options, warm=False)
    seconds = {name: statistics.median(times) for name, times in both.items()}
    rows = []
    for name, make in _SAMPLERS.items():
        per_index = ratio(both, name, _BASE) * lengths[_BASE] / lengths[name]
        rows.append([name, f'{lengths[name]:,}', seconds[name], 1e9 * seconds[name] / lengths[name],
                     per_index, _peak_megabytes(_bind(make, data))])
    rows.append(['aim for ours', '', '< 0.5', '', '< 2', '< 200'])
    return [table(f'Samplers over {images:,} labels: construction and one epoch',
                  ['', 'indices', 's', 'ns per index', 'per index, as a multiple', 'peak, MB'],
                  rows)]


def _bind(make: Callable[[Any], Iterable[int]], data: Sized) -> Callable[[], object]:
    # A deque of no length uses the indices up at the least cost.
    return lambda: deque(make(data), maxlen=0)


def _peak_megabytes(function: Callable[[], object]) -> float:
    """Largest extra memory of Python and NumPy, by tracemalloc (torch's is not seen)."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
