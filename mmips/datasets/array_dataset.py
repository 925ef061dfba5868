# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmips.errors import UserError
from mmips.registry import DATASETS

from .base_array_dataset import BaseArrayDataset
from .npz import open_arrays


@DATASETS.register_module()
class ArrayDataset(BaseArrayDataset):
    """A classification dataset in one ``.npz`` file or a pair of ``.npy`` files.

    Images are uint8 of shape (N, H, W, 3), (N, H, W, 1) or (N, H, W); grey ones come out with
    three equal channels. The colour order is the file's own and should be RGB, as in mmpretrain's
    CIFAR datasets: keep ``to_rgb=False`` in the data preprocessor. A ``.npz`` file is read into
    memory, a ``.npy`` file memory-mapped. Selections are applied in the order ``index_range``,
    ``max_classes``, ``per_class``, ``indices``.

    Args:
        ann_file: The ``.npz`` file, relative to ``data_root``. Defaults to ''.
        split: Names the default keys of a ``.npz`` file: ``images_<split>`` and
            ``labels_<split>``; a file with neither of the two is read by ``images`` and
            ``labels``. Defaults to 'train'.
        images: A ``.npy`` file of images instead of ``ann_file``. Defaults to ''.
        labels: The ``.npy`` file of labels that goes with ``images``. Defaults to ''.
        images_key: Key of the images in the ``.npz`` file. Defaults to None (see ``split``).
        labels_key: Key of the labels in the ``.npz`` file. Defaults to None (see ``split``).
        classes_key: Key of the class names, which may be absent. Defaults to 'classes'.
        index_range: (start, stop) of the images to use. CIFAR-100-C keeps five severities in
            one file: severity s is (10000 * (s - 1), 10000 * s). Defaults to None (all).
        max_classes: Keep the classes 0 to ``max_classes - 1``. Defaults to None (all).
        per_class: Keep at most so many images of each class. Defaults to None (all).
        subset_seed: Seed to draw the ``per_class`` images. Defaults to None (the first ones).
        rest: Keep what ``per_class`` would leave out instead. Defaults to False.
        data_root: Folder that the files are relative to. Defaults to ''.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``, such as ``classes``.

    Raises:
        MissingFileError: If a file is missing.
        UserError: If a file is none of arrays.
        ValueError: For arguments, keys, arrays and labels that do not fit.
    """

    def __init__(self,
                 ann_file: str = '',
                 split: str = 'train',
                 images: str = '',
                 labels: str = '',
                 images_key: str | None = None,
                 labels_key: str | None = None,
                 classes_key: str = 'classes',
                 index_range: Sequence[int] | None = None,
                 max_classes: int | None = None,
                 per_class: int | None = None,
                 subset_seed: int | None = None,
                 rest: bool = False,
                 data_root: str = '',
                 **kwargs: Any) -> None:
        pair = bool(images and labels and not ann_file)
        if not pair and (images or labels or not ann_file.lower().endswith('.npz')):
            raise ValueError("Give either ann_file='x.npz' or both images='x.npy' and "
                             f"labels='y.npy', got ann_file={ann_file!r}, images={images!r}, "
                             f'labels={labels!r}.')
        for name, number in (('max_classes', max_classes), ('per_class', per_class)):
            if number is not None and (not isinstance(number, int) or number < 1):
                raise ValueError(f'{name} must be a positive integer or None, got {number!r}.')
        self.split = split
        self.images_file, self.labels_file = images, labels
        self.images_key, self.labels_key, self.classes_key = images_key, labels_key, classes_key
        self.index_range, self.max_classes = index_range, max_classes
        self.per_class, self.subset_seed, self.rest = per_class, subset_seed, rest
        super().__init__(ann_file, data_root=osp.expanduser(data_root), **kwargs)

    def load_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Read the arrays from the file or files, and the class names from the first."""
        if self.ann_file:
            return self._load_npz()
        with open_arrays(self._source()) as images, open_arrays(
                self._join(self.labels_file)) as labels:
            return images, np.array(labels)

    def _load_npz(self) -> tuple[np.ndarray, np.ndarray]:
        with open_arrays(self.ann_file) as file:
            suffix = f'_{self.split}'
            if not {f'images{suffix}', f'labels{suffix}'} & set(file.files):
                suffix = ''
            keys = (self.images_key or f'images{suffix}', self.labels_key or f'labels{suffix}')
            missing = [key for key in keys if key not in file.files]
            if missing:
                raise UserError(f'{self.ann_file} has no array {missing[0]!r} for '
                                f'split={self.split!r}, only {sorted(file.files)}. Name the '
                                'right ones with images_key and labels_key.')
            if self.classes_key in file.files:
                names = tuple(file[self.classes_key].astype(str).tolist())
                self._metainfo.setdefault('classes', names)
            images, labels = (file[key] for key in keys)
        return images, labels

    def select_rows(self, labels: np.ndarray) -> np.ndarray:
        """Apply ``index_range``, ``max_classes`` and ``per_class``."""
        start, stop = self.index_range or (0, len(labels))
        if not 0 <= start < stop <= len(labels):
            raise ValueError('index_range must be (start, stop) with 0 <= start < stop <= '
                             f'{len(labels)}, the images in {self._source()}, got {(start, stop)}.')
        rows = np.arange(start, stop)
        if self.max_classes is not None:
            rows = rows[labels[rows] < self.max_classes]
            if self._metainfo.get('classes') is not None:
                self._metainfo['classes'] = tuple(self._metainfo['classes'][:self.max_classes])
        if self.per_class is not None:
            kept = _pick_per_class(labels[rows], self.per_class, self.subset_seed)
            rows = np.delete(rows, kept) if self.rest else rows[kept]
        return rows

    def _join(self, path: str) -> str:
        # img_prefix holds data_root already; an absolute path stands alone.
        return osp.join(self.img_prefix, osp.expanduser(path))

    def _source(self) -> str:
        return self.ann_file or self._join(self.images_file)


def _pick_per_class(labels: np.ndarray, number: int, seed: int | None) -> np.ndarray:
    """At most ``number`` places of each class, ascending; the first ones without a seed."""
    chosen: list[int] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if seed is not None:
            # One generator a class: a class keeps its images whatever other classes there are.
            members = np.random.default_rng([seed, int(label)]).permutation(members)
        chosen += members[:number].tolist()
    return np.array(sorted(chosen), dtype=np.int64)
