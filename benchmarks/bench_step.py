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
                  ['network', 'images', 'plain, ms', 'IPS, ms', 'overhead', 'middle half',
                   'added, without the backbone', 'aim'],
                  [_compare(size, options) for size in NETWORKS])]


def _compare(size: int, options: Options) -> list[object]:
    seconds = _time(size, options, _ROUNDS[size], bare=False)
    # Neighbours in time are compared, so the machine's pace drops out.
    overhead = [100 * (ips / plain - 1) for plain, ips in zip(seconds['plain'], seconds['ips'])]
    low, middle, high = statistics.quantiles(overhead, n=4)
    plain, ips = (statistics.median(seconds[kind]) for kind in ('plain', 'ips'))
    # A busy machine hides a percent of seconds, but not what is added to a few milliseconds.
    bare = _time(size, options, 100, bare=True)
    added = statistics.median(b - a for a, b in zip(bare['plain'], bare['ips']))
    return [f'{NETWORKS[size][0]} at {size}', make_step(size, 'plain', options, bare=True)[1],
            1e3 * plain, 1e3 * ips, f'{middle:+.2f} %', f'{low:+.1f} to {high:+.1f} %',
            f'{1e3 * added:.2g} ms = {100 * added / plain:+.2f} %', '< 2 %']


def _time(size: int, options: Options, rounds: int, bare: bool) -> dict[str, list[float]]:
    steps = {kind: make_step(size, kind, options, bare)[0] for kind in ('plain', 'ips')}
    return interleave(steps, options.repeats(rounds), options, warm=False)
