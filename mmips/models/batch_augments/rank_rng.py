# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import numpy as np
import torch
from mmengine.dist import get_rank


class RankRng:
    """A NumPy generator that differs between ranks and follows torch's seed.

    Every rank of a run gets the same global seed, so draws from the global generators would be
    the same everywhere. Whenever torch is seeded anew (as ``mmips.EpochSeedHook`` does each
    epoch) the stream starts anew too: a resumed run repeats the masks of an uninterrupted one.

    Args:
        seed (int, optional): Fixed seed. Default: None, ``torch.initial_seed()``.
        stream (str): Sets augments apart, which under one seed would else draw alike: the
            squares of CutOut would depend on the cells of the patch swap. Default: ''.
    """

    def __init__(self, seed: int | None = None, stream: str = '') -> None:
        self.seed = seed
        self.stream = stream
        #: Place among augments of one stream in a sequence, set by it: two equal swaps in a row
        #: would else undo each other.
        self.place = 0
        self._key: tuple[int, ...] | None = None
        self._rng = np.random.default_rng(0)

    def __call__(self) -> np.random.Generator:
        """The generator of this rank, at its present position."""
        seed = torch.initial_seed() if self.seed is None else self.seed
        key = (seed % 2**64, get_rank(), *self.stream.encode(), *filter(None, [self.place]))
        if key != self._key:
            self._key = key
            self._rng = np.random.default_rng(key)
        return self._rng
