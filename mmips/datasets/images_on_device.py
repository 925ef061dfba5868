# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A data set that lives on the device and hands out whole batches."""
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmpretrain.structures import DataSample
from torch.utils.data import get_worker_info

from mmips.datasets.whole_batch_dataset import WholeBatchDataset
from mmips.errors import UserError
from mmips.registry import DATASETS, FUNCTIONS
from mmips.structures.batch_samples import BatchSamples


@DATASETS.register_module()
class ImagesOnDevice(WholeBatchDataset):
    """All images of another data set as one uint8 tensor on the training device.

    The images come as they lie in the data set, without a pipeline:
    ``mmips.BatchDataPreprocessor`` crops, flips and normalises. Every process holds a copy.

    Args:
        dataset (dict): Config of a data set with the images in memory and all of one size, such
            as mmpretrain's ``CIFAR100``, ``mmips.ArrayDataset`` or ``mmips.DigitsDataset``.
        device (str): Where the images shall lie. Default: 'auto', the device that is trained on.

    Raises:
        UserError: For a data set of image files, of images of several sizes, or larger than
            what is free on the device; and for workers, which cannot reach a device.

    Example:
        >>> train_dataloader = dict(
        ...     num_workers=0, pin_memory=False, collate_fn=dict(type='mmips.whole_batch'),
        ...     dataset=dict(_delete_=True, type='mmips.ImagesOnDevice',
        ...                  dataset=dict(type='CIFAR100', data_root='data/cifar100/')))
    """

    def __init__(self, dataset: dict, device: str = 'auto') -> None:
        super().__init__(dataset)
        self.device = torch.device(get_device() if device == 'auto' else device)
        self.labels = torch.from_numpy(self._labels).to(self.device)
        # Channels last in memory, as they come and as crops are quickest.
        self.images = torch.from_numpy(self._stack()).to(self.device).permute(0, 3, 1, 2)

    def _stack(self) -> np.ndarray:
        name = type(self.dataset).__name__
        first = self.dataset.get_data_info(0).get('img')
        if first is None:
            raise UserError(f'{name} reads image files, but mmips.ImagesOnDevice needs images in '
                            'memory: pack them (tools/dataset_converters/pack_images.py), '
                            'or use mmips.EncodedImages.')
        need = len(self.dataset) * first.nbytes
        free = torch.cuda.mem_get_info(self.device)[0] if self.device.type == 'cuda' else need
        if need > free:
            raise UserError(f'{name} takes {need / 2**30:.1f} GiB, but {free / 2**30:.1f} GiB are '
                            f'free on {self.device}. Use the data set without ImagesOnDevice.')
        images = np.empty((len(self.dataset), *first.shape), dtype=np.uint8)
        for row in range(len(images)):
            image = self.dataset.get_data_info(row)['img']
            if image.shape != first.shape or image.dtype != np.uint8:
                raise UserError(f'{name} has a {image.dtype} image of shape {image.shape} beside '
                                f'uint8 ones of {first.shape}: all must have one size.')
            images[row] = image
        return images if images.ndim == 4 else images[..., None]

    def __getitem__(self, index: int) -> dict:
        sample = DataSample().set_gt_label(int(self._labels[index]))
        sample.set_field(int(index), 'sample_idx', field_type='metainfo')
        return dict(inputs=self.images[index], data_samples=sample)

    def __getitems__(self, indices: Sequence[int]) -> dict:
        """The batch of these images; torch's loader prefers it to one call an image."""
        if get_worker_info() is not None:
            raise UserError('mmips.ImagesOnDevice makes its batches itself. Write '
                            'num_workers=0, persistent_workers=False.')
        rows = torch.as_tensor(indices).to(self.device, non_blocking=True)
        return dict(inputs=self.images[rows],
                    data_samples=BatchSamples(self.labels[rows], indices))


@FUNCTIONS.register_module()
def whole_batch(batch: Any) -> Any:
    """Collate function for data sets that make whole batches, such as ``mmips.EncodedImages``."""
    return batch
