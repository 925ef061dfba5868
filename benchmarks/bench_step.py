# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What self-distillation with the patch swap adds to a training step."""
import statistics

from benchmarks.steps import NETWORKS, make_step
from benchmarks.timing import Options, interleave, table

__all__ = ['run']

_ROUNDS = {32: 16, 224: 16}


def run(options: Options) -> list[str]:
    """Table of the overhead over mmpretrain's plain classifier on the same images."""
    return [table('Training step: preprocessor, forward, backward, SGD',
                  ['network', 'images', 'plain, ms', 'IPS, ms', 'overhead', 'middle half', 'aim'],
                  [_compare(size, options) for size in NETWORKS])]


def _compare(size: int, options: Options) -> list[object]:
    steps = {kind: make_step(size, kind, options) for kind in ('plain', 'ips')}
    images = steps['plain'][1]
    seconds = interleave({kind: step for kind, (step, _) in steps.items()},
                         options.repeats(_ROUNDS[size]), options, warm=False)
    # Neighbours in time are compared, so the machine's pace drops out.
    overhead = [100 * (ips / plain - 1) for plain, ips in zip(seconds['plain'], seconds['ips'])]
    low, middle, high = statistics.quantiles(overhead, n=4)
    times = [1e3 * statistics.median(seconds[kind]) for kind in ('plain', 'ips')]
    return [f'{NETWORKS[size][0]} at {size}', images, *times,
            f'{middle:+.2f} %', f'{low:+.1f} to {high:+.1f} %', '< 2 %']
