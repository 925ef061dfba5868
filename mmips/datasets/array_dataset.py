# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Images and labels from NumPy files."""
from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmips.registry import DATASETS

from .base_array_dataset import BaseArrayDataset

__all__ = ['ArrayDataset']


@DATASETS.register_module()
class ArrayDataset(BaseArrayDataset):
    """A classification dataset in one ``.npz`` file or a pair of ``.npy`` files.

    Images are uint8 of shape (N, H, W, 3), (N, H, W, 1) or (N, H, W); grey images come out
    with three equal channels. The colour order is the file's own, and it should be RGB, as in
    mmpretrain's CIFAR datasets: keep ``to_rgb=False`` in the data preprocessor.

    A ``.npz`` file is read once into memory, a ``.npy`` file is memory-mapped. Class names come
    from the ``classes`` argument or else from the ``.npz`` file.

    Selections are applied in this order: ``index_range``, ``max_classes``, ``per_class``, and at
    last mmengine's ``indices``. They cost no copy of the images.

    Args:
        ann_file: The ``.npz`` file, relative to ``data_root``. Defaults to ''.
        split: Names the default keys of a ``.npz`` file: ``images_<split>`` and
            ``labels_<split>``; a file with neither of the two is read by ``images`` and
            ``labels``. Defaults to 'train'.
        images: A ``.npy`` file of images instead of ``ann_file``. Defaults to ''.
        labels: The ``.npy`` file of labels that goes with ``images``. Defaults to ''.
        images_key: Key of the images in the ``.npz`` file. Defaults to None (see ``split``).
        labels_key: Key of the labels in the ``.npz`` file. Defaults to None (see ``split``).
        classes_key: Key of the class names in the ``.npz`` file, which may lack it.
            Defaults to 'classes'.
        index_range: (start, stop) of the images to use. CIFAR-100-C keeps five severities in
            one file: severity s is (10000 * (s - 1), 10000 * s). Defaults to None (all).
        max_classes: Keep the classes 0 to ``max_classes - 1``. Defaults to None (all).
        per_class: Keep at most so many images of each class. Defaults to None (all).
        subset_seed: Draw the ``per_class`` images with this seed; None takes the first ones.
            Defaults to None.
        data_root: Folder that the files are relative to. Defaults to ''.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``: ``pipeline``, ``indices``,
            ``classes``, ``metainfo``, ``test_mode``, ``lazy_init``, ...

    Raises:
        FileNotFoundError: If a file is missing.
        TypeError: If images are not uint8 or labels not integers.
        ValueError: For contradicting arguments, a key that the ``.npz`` file lacks, shapes that
            do not fit and labels out of range.
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
                 data_root: str = '',
                 **kwargs: Any) -> None:
        _check_files(ann_file, images, labels)
        _check_positive(max_classes=max_classes, per_class=per_class)
        self.split = split
        self.images_file, self.labels_file = images, labels
        self.keys = (images_key, labels_key, classes_key)
        self.index_range = index_range
        self.max_classes, self.per_class = max_classes, per_class
        self.subset_seed = subset_seed
        super().__init__(ann_file, data_root=osp.expanduser(data_root), **kwargs)

    def load_arrays(self) -> tuple[np.ndarray, np.ndarray, Sequence[str] | None]:
        """Read the arrays from the file or files."""
        if self.ann_file:
            return self._load_npz()
        images = np.load(_existing(self._join(self.images_file)), mmap_mode='r')
        return images, np.load(_existing(self._join(self.labels_file))), None

    def select_rows(self, labels: np.ndarray) -> np.ndarray:
        """Apply ``index_range``, ``max_classes`` and ``per_class``."""
        rows: np.ndarray = np.arange(len(labels))
        if self.index_range is not None:
            rows = rows[_checked_slice(self.index_range, len(labels), self._source())]
        if self.max_classes is not None:
            rows = rows[labels[rows] < self.max_classes]
            self._cut_classes(self.max_classes)
        if self.per_class is not None:
            rows = _pick_per_class(rows, labels[rows], self.per_class, self.subset_seed)
        return rows

    def _load_npz(self) -> tuple[np.ndarray, np.ndarray, Sequence[str] | None]:
        images_key, labels_key, classes_key = self.keys
        with np.load(_existing(self.ann_file), allow_pickle=False) as file:
            suffix = f'_{self.split}'
            if not {f'images{suffix}', f'labels{suffix}'} & set(file.files):
                suffix = ''
            images = self._read(file, images_key or f'images{suffix}', 'images_key')
            labels = self._read(file, labels_key or f'labels{suffix}', 'labels_key')
            classes = file[classes_key].tolist() if classes_key in file.files else None
        return images, labels, classes

    def _read(self, file: Any, key: str, argument: str) -> np.ndarray:
        if key not in file.files:
            raise ValueError(f'{self.ann_file} has no array {key!r} for split={self.split!r}, only '
                             f'{sorted(file.files)}. Name the right one with {argument}.')
        return file[key]

    def _join(self, path: str) -> str:
        # img_prefix holds data_root already; an absolute path stands alone.
        return osp.join(self.img_prefix, osp.expanduser(path))

    def _cut_classes(self, number: int) -> None:
        classes = self._metainfo.get('classes')
        if classes is not None:
            self._metainfo['classes'] = tuple(classes[:number])

    def _source(self) -> str:
        return self.ann_file or self._join(self.images_file)


def _check_files(ann_file: str, images: str, labels: str) -> None:
    if ann_file and (images or labels) or not ann_file and not (images and labels):
        raise ValueError("Give either ann_file='x.npz' or both images='x.npy' and "
                         f"labels='y.npy', got ann_file={ann_file!r}, images={images!r}, "
                         f'labels={labels!r}.')
    if ann_file and not ann_file.lower().endswith('.npz'):
        raise ValueError(f'ann_file must be a .npz file, got {ann_file!r}. A pair of .npy files '
                         'goes into images= and labels=.')


def _check_positive(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and (not isinstance(number, int) or number < 1):
            raise ValueError(f'{name} must be a positive integer or None, got {number!r}.')


def _existing(path: str) -> str:
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'{osp.abspath(path)} does not exist. Set data_root and the file name, or make the '
            "file: np.savez('x.npz', images_train=..., labels_train=..., images_test=..., "
            'labels_test=..., classes=[...]) with uint8 RGB images of shape (N, H, W, 3) and '
            'integer labels of shape (N,).')
    return path


def _checked_slice(index_range: Sequence[int], length: int, source: str) -> slice:
    if len(index_range) != 2 or not 0 <= index_range[0] < index_range[1] <= length:
        raise ValueError(f'index_range must be (start, stop) with 0 <= start < stop <= {length}, '
                         f'the number of images in {source}, got {tuple(index_range)}.')
    return slice(*index_range)


def _pick_per_class(rows: np.ndarray, labels: np.ndarray, number: int,
                    seed: int | None) -> np.ndarray:
    """At most ``number`` rows of each class, in their old order."""
    picked = []
    for label in np.unique(labels):
        members = rows[labels == label]
        if seed is not None:
            # One generator a class: a class keeps its images whatever other classes there are.
            members = np.random.default_rng([seed, int(label)]).permutation(members)
        picked.append(members[:number])
    return np.sort(np.concatenate(picked)) if picked else rows
