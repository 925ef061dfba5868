# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Iterator, Sized
from itertools import chain

import numpy as np

from mmips.registry import DATA_SAMPLERS

from .paired_class_sampler import PairedClassSampler


@DATA_SAMPLERS.register_module()
class GroupedClassSampler(PairedClassSampler):
    """Yield every image once an epoch, followed by M others of its class (BAKE).

    Groups of 1 + M indices lie one after the other, so ``batch_size`` is a multiple of 1 + M: the
    paper's 128 images are 32 groups of four. The M are drawn without repetition, or with it where
    the class has fewer than M others. The order is a function of (seed, epoch) alone; ranks share
    out groups, and never split one.

    Args:
        dataset (Sized): As :class:`PairedClassSampler`.
        num_partners (int): M. Default: 3.
        round_up (bool): Repeat the first groups so that every rank gets equally many.
            Default: True.
        seed (int, optional): As :class:`PairedClassSampler`.

    Raises:
        ValueError: For ``num_partners`` that is no positive integer, and as
            :class:`PairedClassSampler`.
    """

    def __init__(self, dataset: Sized, num_partners: int = 3, round_up: bool = True,
                 seed: int | None = None) -> None:
        if type(num_partners) is not int or num_partners < 1:
            raise ValueError(f'num_partners must be a positive integer, but got {num_partners!r}.')
        super().__init__(dataset, round_up=round_up, seed=seed)
        self.num_partners = num_partners

    def _indices(self, epoch: int) -> Iterator[int]:
        share = np.arange(self.rank, self._total, self.world_size) % self.num_pairs
        rng = np.random.default_rng((self.seed, epoch))
        query = rng.permutation(self.num_pairs)[share]
        label, image = self._labels[query], self._image[query]
        others = self._pool_size[label] - 1
        steps = np.empty((len(query), self.num_partners), dtype=np.int64)
        for column in range(self.num_partners):
            # Floyd's algorithm: a growing range, and its end for what was drawn before.
            most = others - self.num_partners + column
            few = most < column
            drawn = rng.random(self.num_pairs)[share]
            step = (drawn * np.where(few, others, most + 1)).astype(np.int64)
            before = (steps[:, :column] == step[:, None]).any(1)
            steps[:, column] = np.where(before & ~few, most, step)
        place = self._place[image][:, None] + np.minimum(1 + steps, others[:, None])
        size = self._pool_size[label][:, None]
        partners = self._pool[self._pool_start[label][:, None] + place % size]
        groups = np.column_stack((query, partners))
        return chain.from_iterable(row.tolist() for row in groups)

    def __len__(self) -> int:
        """Number of indices of this rank in one epoch."""
        return super().__len__() // 2 * (1 + self.num_partners)
