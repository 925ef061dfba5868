# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Thousands of ranks, one after the other in one process: what each draws, and what it costs it."""
import contextlib
import itertools
import time
import tracemalloc
from collections import deque
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.sampler_rivals import LabelArray, make_labels
from benchmarks.timing import Options, table
from mmips.datasets.samplers import (
    InfinitePairedClassSampler,
    PairedClassSampler,
    paired_class_sampler,
)
from mmips.engine.hooks import EpochSeedHook, epoch_seed_hook
from mmips.models.batch_augments import IntraClassPatchSwap, rank_rng

__all__ = ['check_draws', 'check_pairs', 'run']

#: The sets at whose size one rank is measured: images and classes.
_SETS = {'ImageNet-1k': (1_281_167, 1_000), 'ImageNet-21k': (14_197_122, 21_841)}
_MODES = 'queries', 'images'
_EPOCH, _BATCH = 3, 32


def run(options: Options) -> Iterator[str]:
    """The tables of all ranks and of one."""
    images = 2_000 if options.tiny else 20_000 if options.quick else 50_000
    worlds = [2**power for power in range(5 if options.tiny else 9 if options.quick else 13)]
    data = LabelArray(make_labels(images, 100))
    rows = []
    for world in worlds:
        sizes = [f'{check_pairs(data, world, mode):,} x {world:,}' for mode in _MODES]
        draws = [f'{number:,}' for number in check_draws(world, range(4))]
        rows.append([f'{world:,}', *sizes, *draws])
    yield table(
        f'Every rank of a run over {images:,} images of 100 classes: each pair on one rank alone',
        ['ranks', "pairs, epoch='queries'", "pairs, epoch='images'",
         'seeds of 4 epochs, different in each', f'masks of {_BATCH} pairs, all different'], rows)
    rows = []
    for name, (images, classes) in _SETS.items():
        images //= 1_000 if options.tiny else 10 if options.quick else 1
        data = LabelArray(make_labels(images, classes))
        for mode, world in itertools.product(_MODES, (8, 4_096)):
            rows.append([f'{name}, {mode}', f'{images:,}', f'{world:,}', *_cost(data, mode, world)])
    yield table('One rank: its sampler',
                ['set, epoch', 'labels', 'ranks', 'start, s', 'epoch, s', 'kept, MB',
                 'peak of the start, MB', 'peak of an epoch, MB'], rows)


@contextlib.contextmanager
def as_rank(rank: int, world: int) -> Iterator[None]:
    """Have sampler, seeds and swap believe that they are of this rank."""
    with patch.object(paired_class_sampler, 'get_dist_info', lambda: (rank, world)), \
            patch.object(epoch_seed_hook, 'get_rank', lambda: rank), \
            patch.object(rank_rng, 'get_rank', lambda: rank):
        yield


def check_pairs(data: Any, world: int, mode: str) -> int:
    """Share out a later epoch over so many ranks; returns the number of pairs of each.

    Each rank has a sampler of its own, made in the middle of the run as after a resume; they
    are compared with one process that has gone through the epochs before.

    Raises:
        RuntimeError: Unless every pair is on one rank alone, but for those that are repeated so
            that all ranks have equally many, and every image a query (or in one pair) once.
    """
    alone = PairedClassSampler(data, epoch=mode, round_up=False, seed=0)
    for epoch in range(_EPOCH + 1):
        alone.set_epoch(epoch)
        whole = np.fromiter(alone, np.int64).reshape(-1, 2)
    shares = []
    for rank in range(world):
        with as_rank(rank, world):
            sampler = PairedClassSampler(data, epoch=mode, seed=0)
        sampler.set_epoch(_EPOCH)
        shares.append(np.fromiter(sampler, np.int64).reshape(-1, 2))
    found = np.stack(shares, axis=1).reshape(-1, 2)
    # `resize` goes on from the beginning where it runs out.
    _expect(np.array_equal(found, np.resize(whole, found.shape)),
            f'{world} ranks do not share out the pairs of one')
    seen = np.bincount(whole[:, 0] if mode == 'queries' else whole.ravel(), minlength=len(data))
    odd = np.bincount(data.get_gt_labels()) % 2
    _expect(seen.max() == 1 and (seen == 0).sum() == (odd.sum() if mode == 'images' else 0),
            f'epoch={mode!r} does not show every image once')
    for rank in {0, world // 2, world - 1}:
        with as_rank(rank, world):
            endless = InfinitePairedClassSampler(data, epoch=mode, seed=0)
        endless.skip(_EPOCH * len(endless) + 2)
        wanted = shares[rank].ravel()[2:10].tolist()
        _expect(list(itertools.islice(endless, len(wanted))) == wanted,
                f'rank {rank} of {world} does not go on where it was')
    return len(shares[0])


def check_draws(world: int, epochs: Sequence[int], seed: int = 0) -> tuple[int, int]:
    """Seed every rank for some epochs, and draw its masks; returns the number of both.

    Raises:
        RuntimeError: If two ranks of an epoch have one seed, if two masks are equal, also of ranks
            that torch's seed does not tell apart, or if a rank does not repeat its own.
    """
    seeds, masks, bare = set(), set(), set()
    for epoch, rank in itertools.product(epochs, range(world)):
        runner: Any = SimpleNamespace(seed=seed, epoch=epoch, iter=10 * epoch)
        with as_rank(rank, world):
            drawn = []
            for _ in range(2):  # Once more, as after a resume.
                EpochSeedHook().before_train_epoch(runner)
                drawn.append((torch.initial_seed(), _mask()))
            torch.manual_seed(seed)
            bare.add((epoch, _mask()))
        _expect(drawn[0] == drawn[1], f'rank {rank} of {world} does not repeat its draws')
        # Of 32 bits: a rank may once have the seed that another one had in another epoch.
        seeds.add((epoch, drawn[0][0]))
        masks.add(drawn[0][1])
    number = world * len(epochs)
    _expect(len(seeds) == number, f'{number} seeds wanted, but {len(seeds)} are different')
    _expect(len(masks) == len(bare) == number,
            f'{number} masks wanted, but {len(masks)} and {len(bare)} are different')
    return len(seeds), len(masks)


def _mask() -> bytes:
    return IntraClassPatchSwap(grid_size=4).draw_mask(_BATCH).numpy().tobytes()


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise RuntimeError(f'{otherwise}.')


def _cost(data: LabelArray, mode: str, world: int) -> tuple[float, ...]:
    """Seconds of start and epoch; MB that are kept, and at most taken by each of the two."""
    with as_rank(world // 2, world):
        times = [time.process_time()]
        sampler = PairedClassSampler(data, epoch=mode, seed=0)
        times.append(time.process_time())
        deque(sampler, maxlen=0)
        times.append(time.process_time())
        del sampler
        tracemalloc.start()
        try:
            sampler = PairedClassSampler(data, epoch=mode, seed=0)
            kept, start = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            deque(sampler, maxlen=0)
            epoch = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    return (times[1] - times[0], times[2] - times[1], kept / 1e6, start / 1e6, epoch / 1e6)
