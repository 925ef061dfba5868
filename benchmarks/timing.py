# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Time functions side by side, and print tables."""
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Options:
    """What every benchmark is told.

    Args:
        device (str): 'cpu' or 'cuda'.
        threads (int): Threads of torch.
        quick (bool): Fewer repeats and smaller sizes: to see that it runs, not to quote.
        tiny (bool): The smallest sizes there are, for the tests.
    """

    device: str = 'cpu'
    threads: int = 1
    quick: bool = False
    tiny: bool = False

    def repeats(self, full: int) -> int:
        """Number of rounds."""
        return 2 if self.tiny else max(3, full // 4) if self.quick else full


def interleave(functions: dict[str, Callable[[], object]],
               repeats: int,
               options: Options,
               warm: bool = True) -> dict[str, list[float]]:
    """Time every function once a round, so that a change of the machine's pace hits all.

    Every other round runs backwards, which cancels what a function does to its successor.

    Args:
        functions (dict[str, Callable]): What to time, by name.
        repeats (int): Number of rounds.
        options (Options): Device and threads.
        warm (bool): Call each function untimed right before its timed call, so that each
            starts from its own caches rather than from its predecessor's. Default: True.

    Returns:
        dict[str, list[float]]: Seconds of each round, by name.
    """
    names = list(functions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats):
        for name in names if repeat % 2 == 0 else reversed(names):
            if warm or repeat == 0:
                functions[name]()
            seconds[name].append(stopwatch(functions[name], options))
    return seconds


def stopwatch(function: Callable[[], object], options: Options) -> float:
    """Seconds of one call.

    One thread on the CPU is timed by the processor time of the process: on a quiet machine
    that is the wall clock, on a busy one it leaves out what other jobs take.
    """
    clock = time.perf_counter
    if options.device == 'cpu' and options.threads == 1:
        clock = time.process_time
    _wait(options)
    start = clock()
    function()
    _wait(options)
    return clock() - start


def _wait(options: Options) -> None:
    if options.device != 'cpu':
        torch.cuda.synchronize()


def ratio(seconds: dict[str, list[float]], name: str, base: str) -> float:
    """Median over rounds of ``name``'s time divided by ``base``'s in the same round."""
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[base]))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table under a heading; floats get three digits."""
    lines = [f'### {title}', '', '| ' + ' | '.join(columns) + ' |',
             '|' + '|'.join([' --- '] + [' ---: '] * (len(columns) - 1)) + '|']
    lines += ['| ' + ' | '.join(_cell(cell) for cell in row) + ' |' for row in rows]
    return '\n'.join(lines) + '\n'


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'
    return str(value)


def header(options: Options) -> str:
    """Machine, versions and settings, as a Markdown line."""
    device = _processor()
    if options.device != 'cpu':
        device = f'{torch.cuda.get_device_name()}, {device}'
    mode = ' Quick run: not to be quoted.' if options.quick or options.tiny else ''
    return (f'{device}; {options.threads} thread(s); Python {platform.python_version()}, '
            f'torch {torch.__version__}; {time.strftime("%Y-%m-%d")}.{mode}\n')


def _processor() -> str:
    try:
        with open('/proc/cpuinfo') as file:
            names = [line.split(':')[1].strip() for line in file if line.startswith('model name')]
        return f'{len(names)} x {names[0]}'
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
