# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The patch swap against other ways to do it, and against a training step."""
import statistics
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.steps import make_step
from benchmarks.swap_rivals import RIVALS, copy_of_moved_bytes
from benchmarks.timing import Options, interleave, ratio, stopwatch, table
from mmips.functional import draw_patch_mask, swap_patches
from mmips.models.batch_augments import IntraClassPatchSwap

__all__ = ['run']

_COPY, _OURS, _CALL = 'copy of the moved bytes', '**ours, in place**', '**ours, whole augment**'


@dataclass(frozen=True)
class Case:
    """One batch; ``aim`` bounds ours as a multiple of the copy at prob 0.5."""

    images: int
    size: int
    grid: int
    prob: float
    aim: float

    @property
    def title(self) -> str:
        """As it stands in the head of the table."""
        return f'{self.images}x3x{self.size}², {self.grid}x{self.grid}, p {self.prob}'


def cases(options: Options) -> list[Case]:
    """The batches to swap."""
    large, small = (4, 4) if options.tiny else (32, 128) if options.quick else (256, 128)
    sizes = [(large, 224, 2, 3), (large, 224, 4, 4), (small, 32, 4, 34)]
    return [Case(images, size, grid, prob, aim)
            for images, size, grid, aim in sizes for prob in (0.5, 1.0)]


def run(options: Options) -> list[str]:
    """Tables of the swap: multiples of a copy, and share of a training step."""
    todo = cases(options)
    seconds = [_time(case, options) for case in todo]
    names = [_COPY, _OURS, _CALL, *RIVALS]
    ratios = [[name] + [ratio(times, name, _COPY) for times in seconds] for name in names]
    aims: list[object] = ['aim for ours, in place', *(f'< {case.aim:g}' for case in todo)]
    copies: list[object] = ['the copy, ms']
    copies += [1e3 * statistics.median(times[_COPY]) for times in seconds]
    relative = table('Patch swap: time as a multiple of a copy of the bytes that move',
                     ['', *(case.title for case in todo)], [*ratios, aims, copies])
    return [relative, _share_of_step(todo, seconds, options)]


def _time(case: Case, options: Options) -> dict[str, list[float]]:
    x = torch.randn(case.images, 3, case.size, case.size, device=options.device)
    pairs = case.images // 2
    mask = draw_patch_mask(pairs, (case.grid, case.grid), case.prob, rng=np.random.default_rng(0))
    mask[0, 0, 0] = True  # at tiny sizes chance may choose no cell at all
    mask = mask.to(options.device)
    _verify(x, mask)
    target, source = copy_of_moved_bytes(x, mask)
    augment = IntraClassPatchSwap(case.grid, case.prob, seed=0)
    scores = torch.eye(100, device=options.device)[torch.arange(pairs).repeat_interleave(2) % 100]
    functions: dict[str, Callable[[], object]] = {
        _COPY: lambda: target.copy_(source),
        _OURS: lambda: swap_patches(x, mask, inplace=True),
        _CALL: lambda: augment(x, scores),
    }
    functions.update({name: _bind(rival, x, mask) for name, rival in RIVALS.items()})
    return interleave(functions, options.repeats(10 if case.size > 100 else 200), options)


def _bind(rival: Callable[[Tensor, Tensor], Tensor], x: Tensor, mask: Tensor) -> Callable:
    return lambda: rival(x, mask)


def _verify(x: Tensor, mask: Tensor) -> None:
    """All ways must give the same, or their times mean nothing."""
    wanted = swap_patches(x, mask)
    if torch.equal(wanted, x):
        raise RuntimeError('The mask exchanges nothing: there is nothing to time.')
    for name, rival in RIVALS.items():
        if not torch.equal(rival(x.clone(), mask), wanted):
            raise RuntimeError(f'"{name}" does not give what swap_patches gives.')


def _share_of_step(todo: list[Case], seconds: list[dict], options: Options) -> str:
    """Both per image, since a step of 256 images at 224 pixels takes a CPU minutes."""
    rows, step = [], {}
    for case, times in zip(todo, seconds):
        if case.size not in step:
            step[case.size] = _seconds_per_image(case.size, options)
        shares = [statistics.median(times[name]) / case.images / step[case.size]
                  for name in (_OURS, _CALL)]
        rows.append([case.title, f'{1e3 * step[case.size]:.3g} ms',
                     *(f'{100 * share:.2g} %' for share in shares), '< 0.5 %'])
    return table('Patch swap: share of a training step (ResNet-18 at 32, ResNet-50 at 224)',
                 ['batch', 'step per image', 'swap', 'whole augment', 'aim'], rows)


def _seconds_per_image(size: int, options: Options) -> float:
    step, images = make_step(size, 'plain', options)
    step()
    return statistics.median(stopwatch(step, options) for _ in range(options.repeats(5))) / images
