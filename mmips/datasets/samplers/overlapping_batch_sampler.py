# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmips.registry import DATA_SAMPLERS
from mmips.structures import join_index_pairs


@DATA_SAMPLERS.register_module()
class OverlappingBatchSampler(Sampler):
    """Yield batches that hold the images of the batch before once more (DLB).

    A batch of 2n indices is n pairs: a new image (query), and one that was new in the batch
    before (partner), each drawn and augmented anew. In one epoch every image is new once, in an
    order that follows from (seed, epoch) alone; the first batch takes the last of the epoch
    before, as if there were one before the first. Ranks share out the order, and each goes on
    from its own batches. Images that fill no batch are left out of the epoch.

    Args:
        dataset (Sized): Any dataset.
        batch_size (int): 2n, the same as the data loader's: images a step and process.
        seed (int, optional): Seed, the same on all ranks. Default: None, one drawn and
            shared by the ranks; in a Runner it is the run's seed.

    Raises:
        ValueError: For an odd ``batch_size`` and a dataset of fewer images than one step of all
            ranks has new ones.

    Example:
        >>> train_dataloader = dict(
        ...     batch_size=128, sampler=dict(type='mmips.OverlappingBatchSampler', batch_size=128))
    """

    def __init__(self, dataset: Sized, batch_size: int, seed: int | None = None) -> None:
        if type(batch_size) is not int or batch_size < 2 or batch_size % 2:
            raise ValueError('batch_size counts the new images of a batch and those of the batch '
                             f'before, so it must be even and positive, but got {batch_size!r}.')
        self.rank, self.world_size = get_dist_info()
        self.num_new, self.num_images = batch_size // 2, len(dataset)
        self.num_batches = self.num_images // (self.num_new * self.world_size)
        if not self.num_batches:
            raise ValueError(
                f'The dataset has {self.num_images} images, but one step of {self.world_size} '
                f'process(es) takes {self.num_new * self.world_size} new ones '
                f'(batch_size={batch_size}). Use a smaller batch_size.')
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0

    def _new(self, epoch: int) -> np.ndarray:
        """What is new to this rank in an epoch, (num_batches, num_new)."""
        # Seeds cannot be negative, and there is an epoch before the first.
        order = np.random.default_rng((self.seed, epoch + 1)).permutation(self.num_images)
        total = self.num_batches * self.num_new * self.world_size
        return order[self.rank:total:self.world_size].reshape(self.num_batches, self.num_new)

    def __iter__(self) -> Iterator[int]:
        """Indices of this rank in this epoch, query and partner in turn."""
        new = self._new(self.epoch)
        old = np.concatenate((self._new(self.epoch - 1)[-1:], new[:-1]))
        return iter(join_index_pairs(new.ravel(), old.ravel()).tolist())

    def __len__(self) -> int:
        """Number of indices of this rank in one epoch."""
        return 2 * self.num_batches * self.num_new

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration yields."""
        self.epoch = epoch
