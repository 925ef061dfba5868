# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

import os.path as osp
from typing import Any

import numpy as np

from mmips.errors import MissingFileError, UserError, check_choice
from mmips.functional.corruptions import SEVERITIES, check_corruption, check_severity
from mmips.registry import DATASETS

from .array_dataset import ArrayDataset

_FETCH = ('CIFAR-100-C is at https://zenodo.org/records/3555552, CIFAR-10-C at '
          'https://zenodo.org/records/2535967; give the unpacked folder.')


@DATASETS.register_module()
class CIFARCDataset(ArrayDataset):
    """One corruption at one severity of CIFAR-10-C, CIFAR-100-C or a set of their format.

    The folder has ``<corruption>.npy``, uint8 RGB of shape (5 N, H, W, 3): N test images at
    severity 1, the same in the same order at severity 2, and so on; and ``labels.npy``, (5 N,)
    integers. Files are memory-mapped. Source: https://arxiv.org/abs/1903.12261.

    Args:
        data_root: The folder.
        corruption: A name of :data:`mmips.functional.corruptions.CORRUPTIONS`.
        severity: From 1 to 5.
        channel_order: 'bgr' turns the images round, for configs that load BGR from files and
            set ``to_rgb=True``. Defaults to 'rgb', as in mmpretrain's CIFAR datasets.
        **kwargs: ``pipeline``, ``max_classes`` and other arguments of :class:`ArrayDataset`.

    Raises:
        MissingFileError: If a file is missing.
        UserError: For arguments that cannot be, and for files of another format.
    """

    def __init__(self, data_root: str, corruption: str, severity: int,
                 channel_order: str = 'rgb', **kwargs: Any) -> None:
        check_choice('channel_order', channel_order, ('rgb', 'bgr'))
        self.corruption, self.severity = check_corruption(corruption), check_severity(severity)
        self.channel_order = channel_order
        super().__init__(images=f'{corruption}.npy', labels='labels.npy', data_root=data_root,
                         **kwargs)

    def load_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Map the file; the rows of the severity are chosen later."""
        images, labels = read_cifar_c(osp.dirname(self._source()), self.corruption)
        number = len(labels) // len(SEVERITIES)
        self.index_range = ((self.severity - 1) * number, self.severity * number)
        return images[..., ::1 if self.channel_order == 'rgb' else -1], labels


def read_cifar_c(folder: str, corruption: str) -> tuple[np.ndarray, np.ndarray]:
    """A corruption's mapped images, uint8 (5 N, H, W, 3), and labels (5 N,)."""
    labels, images = (_load(osp.join(folder, f'{name}.npy')) for name in ('labels', corruption))
    if not images.size or len(images) % len(SEVERITIES) or labels.shape != images.shape[:1] or (
            labels.reshape(len(SEVERITIES), -1) != labels[:len(labels) // len(SEVERITIES)]).any():
        raise UserError(f'{folder}/{corruption}.npy must have 5 N images, the same at each '
                        'severity, and labels.npy their labels, five times the same, got the '
                        f'shapes {images.shape} and {labels.shape}. Fetch them again: {_FETCH}')
    return images, np.array(labels)


def _load(path: str) -> np.ndarray:
    if not osp.isfile(path):
        raise MissingFileError(f'{osp.abspath(path)} does not exist. {_FETCH}')
    try:
        return np.load(path, mmap_mode='r')
    except Exception as error:  # Whatever a broken file makes of itself.
        raise UserError(f'{path} cannot be read as an array ({error}): cut off or damaged. Fetch '
                        f'it again: {_FETCH}') from error
