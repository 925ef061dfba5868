# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

from typing import Any

import numpy as np
from mmpretrain.datasets import BaseDataset


class BaseArrayDataset(BaseDataset):
    """An mmpretrain dataset whose images live in one array.

    mmengine's list holds row numbers and labels alone, so that subsets and forked workers share
    the array. A sample has ``img``, a private uint8 copy (H, W, 3) in the array's own colour
    order, beside ``gt_label``, ``sample_idx``, ``img_shape`` and ``ori_shape``; pipelines start
    without ``LoadImageFromFile``. Subclasses implement :meth:`load_arrays` and may choose rows.
    """

    _images: np.ndarray | None = None

    def load_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Images (M, H, W[, 1 or 3]) uint8 and labels (M,) of integers."""
        raise NotImplementedError

    def select_rows(self, labels: np.ndarray) -> np.ndarray:
        """The rows of the arrays, shape (N,), that make up the dataset. Defaults to all."""
        return np.arange(len(labels))

    def load_data_list(self) -> list[dict]:
        """One small record an image: its row in the array and its label."""
        images, labels = self.load_arrays()
        _check_arrays(images, labels, self._source())
        rows = self.select_rows(labels)
        if not len(rows):
            raise ValueError(f'{self._source()}: no image is left of the {len(images)} images. '
                             'Relax the selection.')
        classes, highest = self._metainfo.get('classes'), labels[rows].max()
        if classes is not None and highest >= len(classes):
            raise ValueError(f'{self._source()}: found label {highest}, but there are only '
                             f'{len(classes)} classes. Correct the labels or name them all.')
        self._images = images
        return [dict(row=int(row), gt_label=int(labels[row])) for row in rows]

    def get_data_info(self, idx: int) -> dict:
        """The sample at ``idx`` with its image, see the class."""
        info = super().get_data_info(idx)
        # A copy: transforms may write into what they get, and the array is shared.
        img = np.array(self.images[info.pop('row')])
        if img.ndim == 2 or img.shape[-1] == 1:
            img = np.dstack([img] * 3)
        return dict(info, img=img, img_shape=img.shape[:2], ori_shape=img.shape[:2])

    def get_gt_labels(self) -> np.ndarray:
        """All labels, int64 of shape (N,), without touching an image."""
        return np.array([self.get_cat_ids(i)[0] for i in range(len(self))], dtype=np.int64)

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of one sample, in a list, as class-balanced sampling asks for it."""
        return [super().get_data_info(idx)['gt_label']]

    @property
    def images(self) -> np.ndarray:
        """The whole image array, subset or not."""
        if self._images is None:
            self._images = self.load_arrays()[0]
        return self._images

    def _source(self) -> str:
        """What to call the arrays in messages."""
        return self.ann_file or type(self).__name__

    def _copy_without_annotation(self, memo: dict | None = None) -> Any:
        # Subsets share the array; mmengine deep-copies every attribute it does not know.
        return super()._copy_without_annotation({**(memo or {}), id(self._images): self._images})

    def __getstate__(self) -> dict:
        # Pickling a memory map would send the whole file to each spawned worker.
        dropped = {'_images': None} if isinstance(self._images, np.memmap) else {}
        return {**self.__dict__, **dropped}


def _check_arrays(images: np.ndarray, labels: np.ndarray, source: str) -> None:
    if images.dtype != np.uint8 or images.shape[3:] not in ((), (1, ), (3, )) or (
            images.ndim < 3 or not images.size):
        raise ValueError(f'{source}: images must be uint8 of shape (N, H, W), (N, H, W, 1) or '
                         f'(N, H, W, 3), no length 0, got {images.dtype} {images.shape}. For '
                         'values 0 to 1 use (255 * images).round().astype("uint8"), for '
                         '(N, C, H, W) images.transpose(0, 2, 3, 1).')
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (len(images), ) or (
            labels.min() < 0):
        raise ValueError(f'{source}: labels must be integers of shape ({len(images)},), a class '
                         f'number from 0 for each image, got {labels.dtype} {labels.shape}, '
                         f'lowest {labels.min(initial=0)}.')
