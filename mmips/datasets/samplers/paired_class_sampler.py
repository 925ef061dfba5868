# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Iterator, Sized
from itertools import chain

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmips.datasets.labels import get_labels
from mmips.errors import check_choice
from mmips.registry import DATA_SAMPLERS
from mmips.structures import join_index_pairs, split_pairs


@DATA_SAMPLERS.register_module()
class PairedClassSampler(Sampler):
    """Yield indices in pairs of one class: query, partner, query, partner, ...

    A plain ``sampler`` with an even ``batch_size`` is all that IPS needs of a data loader;
    ``batch_size`` counts images, so the paper's 64 pairs are ``batch_size=128``. The order is
    a function of (seed, epoch) alone. Ranks share out pairs, and never split one.

    Args:
        dataset (Sized): Dataset with one label per image, wrapped or not; see
            :func:`mmips.datasets.labels.get_labels`.
        partner (str): 'class': another image of the query's class, uniform among them; the
            image itself only where it is alone in its class. 'self': the same image again,
            for two views of one image. Default: 'class'.
        epoch (str): What one epoch is. 'queries': every image is a query once and draws a
            partner, 2N images (IPS). 'images': a fresh random matching inside each class,
            every image once, N images, for comparisons at equal cost. A class of odd size
            leaves one image out of the matching; which one moves on every epoch through a
            fixed order of the class, so nobody misses two epochs running. With ``round_up``
            the first pairs are then repeated (or, where many images are alone and matched with
            themselves, the last left out), so that a rank gets as many images as of mmengine's
            DefaultSampler, or one more where that is odd: an even batch_size makes as many
            steps. Here, two copies of an image (RepeatDataset) may meet. Default: 'queries'.
        shuffle (bool): Random order of pairs, random partners and matchings. Otherwise
            queries keep the dataset's order and neighbours in a class are partners.
            Default: True.
        round_up (bool): Repeat the first pairs so that every rank gets equally many.
            Default: True.
        seed (int, optional): Seed, the same on all ranks. Default: None, one drawn and
            shared by the ranks; in a Runner it is the run's seed.

    Raises:
        ValueError: For unknown modes, an empty dataset, images without exactly one label,
            and a dataset in which no class has two images.

    Example:
        >>> train_dataloader = dict(batch_size=128, sampler=dict(type='mmips.PairedClassSampler'))
    """

    def __init__(self,
                 dataset: Sized,
                 partner: str = 'class',
                 epoch: str = 'queries',
                 shuffle: bool = True,
                 round_up: bool = True,
                 seed: int | None = None) -> None:
        check_choice('partner', partner, ('class', 'self'))
        check_choice('epoch', epoch, ('queries', 'images'))
        if partner == 'self' and epoch == 'images':
            raise ValueError("partner='self' shows every image twice, so an epoch in which each is "
                             "seen once (epoch='images') does not exist. Use epoch='queries' and "
                             'half as many epochs.')
        if len(dataset) == 0:
            raise ValueError('The dataset is empty: check data_root and ann_file.')
        self.dataset, self.num_pairs = dataset, len(dataset)
        self.partner, self.epoch_mode = partner, epoch
        self.shuffle, self.round_up = shuffle, round_up
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        if partner == 'class':
            self._index(*get_labels(dataset))

    def _index(self, labels: np.ndarray, ids: np.ndarray) -> None:
        """Lay out the images of every class; done once, since it does not depend on epochs."""
        # Stable sorting of 16-bit integers is a radix sort: ImageNet takes 10 ms.
        labels = labels.astype(np.uint16 if labels.max() < 2**16 else np.int64)
        self._labels = labels
        self._order, self._start, self._size = _sort_by_class(labels)
        pool, self._pool_start, self._pool_size = self._order, self._start, self._size
        self._pool, self._image = pool, ids.astype(pool.dtype)
        if (ids != np.arange(len(ids))).any():
            # Copies of an image, as RepeatDataset makes them, count once as a partner.
            _, first, image = np.unique(ids, return_index=True, return_inverse=True)
            pool, self._pool_start, self._pool_size = _sort_by_class(labels[first])
            self._pool, self._image = first[pool], image
        self._place = np.empty_like(pool)
        self._place[pool] = np.arange(len(pool)) - np.repeat(self._pool_start, self._pool_size)
        if self._pool_size.max() < 2:
            raise ValueError(
                f'No class of this dataset has two images ({len(pool)} images in '
                f'{(self._size > 0).sum()} classes), so there is nothing to pair. Check the '
                "labels, or use partner='self'.")
        if self.epoch_mode == 'images':
            self.num_pairs = int(((self._size + (self._size == 1)) // 2).sum())

    def _pairs(self, epoch: int, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Queries and partners at these places of an epoch's order, each of their shape."""
        rng = np.random.default_rng((self.seed, epoch))
        if self.epoch_mode == 'images':
            query, partner = self._match(rng, epoch)
            order = rng.permutation(len(query)) if self.shuffle else query.argsort()
            return query[order[share]], partner[order[share]]
        # All ranks draw all of the order, and look up their own part of it alone.
        query = rng.permutation(self.num_pairs)[share] if self.shuffle else share
        return query, query if self.partner == 'self' else self._draw_partners(query, share, rng)

    def _draw_partners(self, query: np.ndarray, share: np.ndarray,
                       rng: np.random.Generator) -> np.ndarray:
        label, image = self._labels[query], self._image[query]
        size = self._pool_size[label]
        # A step of 1 to size - 1 around the class reaches all other images equally often.
        drawn = rng.random(self.num_pairs)[share] if self.shuffle else 0 * share
        step = 1 + (drawn * (size - 1)).astype(np.int64)
        return self._pool[self._pool_start[label] + (self._place[image] + step) % size]

    def _match(self, rng: np.random.Generator, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Match the images of every class in pairs; a lone image is matched with itself."""
        keep = np.ones(len(self._labels), dtype=bool)
        odd = np.flatnonzero(self._size % 2)
        # The epoch picks who sits out; the first one is drawn so that classes differ.
        first = np.random.default_rng(self.seed).integers(self._size[odd]) if self.shuffle else 0
        out = self._order[self._start[odd] + (first + epoch) % self._size[odd]]
        keep[out] = False
        order = rng.permutation(len(keep)) if self.shuffle else np.arange(len(keep))
        order = order[keep[order]]
        order = order[self._labels[order].argsort(kind='stable')]
        query, partner = split_pairs(order)
        alone = out[self._size[odd] == 1]
        return np.concatenate((query, alone)), np.concatenate((partner, alone))

    def _indices(self, epoch: int) -> Iterator[int]:
        """This rank's share of an epoch."""
        # From the beginning again where the pairs run out.
        share = np.arange(self.rank, self._total, self.world_size) % self.num_pairs
        pairs = join_index_pairs(*self._pairs(epoch, share))
        # In chunks: a list of all of ImageNet's would cost 100 MB.
        return chain.from_iterable(part.tolist() for part in np.array_split(
            pairs, len(pairs) // 2**14 + 1))

    @property
    def _total(self) -> int:
        """Number of pairs over all ranks, with the repeated ones."""
        if not self.round_up:
            return self.num_pairs
        # A matching may be short of the images of odd classes, or show lone ones twice.
        pairs = self.num_pairs if self.epoch_mode == 'queries' else -(-len(self.dataset) // 2)
        return pairs + -pairs % self.world_size

    def __iter__(self) -> Iterator[int]:
        """Indices of this rank in this epoch, query and partner in turn."""
        return self._indices(self.epoch)

    def __len__(self) -> int:
        """Number of indices (not pairs) of this rank in one epoch."""
        return 2 * len(range(self.rank, self._total, self.world_size))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields."""
        self.epoch = epoch


def _sort_by_class(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices sorted by class, and each class's start and size in them."""
    size = np.bincount(labels)
    start = np.concatenate(([0], size.cumsum()[:-1]))
    # Half of the memory: every process of a machine keeps tables of its own.
    index = np.int32 if len(labels) < 2**31 else np.int64
    return labels.argsort(kind='stable').astype(index), start, size
