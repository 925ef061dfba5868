# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Any classification dataset with wrong labels."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.logging import print_log
from mmengine.registry import DATASETS as MMENGINE_DATASETS

from mmips.functional import label_noise
from mmips.registry import DATASETS

from .labels import find_images

__all__ = ['NoisyLabelDataset']

KINDS = ('symmetric', 'asymmetric')


@DATASETS.register_module()
class NoisyLabelDataset:
    """A dataset whose labels are wrong at a given rate (IPS paper, Table 14).

    In every class of n images exactly ``rate * n``, a half rounded up, get a wrong label, drawn
    once, from ``seed`` alone; see :mod:`mmips.functional.label_noise`. The pipeline, records and
    samplers are given the wrong ones. The true ones remain as ``clean_labels``, and in every
    sample as ``clean_label``, which ``PackInputs`` keeps if its ``meta_keys`` name it.

    The wrapped dataset is not changed, and no image is copied. Copies of an image, as a wrapped
    ``RepeatDataset`` has them, share one label and count as one image.

    Args:
        dataset (dict | BaseDataset): A single-label dataset based on mmengine's ``BaseDataset``,
            or a wrapper of such datasets.
        rate (float): Share of wrong labels in each class, in [0, 1]. Default: 0.2.
        kind (str): 'symmetric', to any other class with the same probability, or 'asymmetric',
            to the one that ``class_map`` says. Default: 'symmetric'.
        class_map (str | dict, optional): For asymmetric noise: {source: target}, each a class
            number or name, other classes keep their labels; or 'next', from every class to the
            one after it, or 'cifar100', to the next one in the superclass. Default: None.
        seed (int): Of the noise; not negative. Default: 0.
        lazy_init (bool): Whether to read the labels only when they are needed. Default: False.

    Raises:
        ValueError: For arguments out of range or at odds with each other or with the classes,
            for images without a label or with several, and for labels that are noisy already.
        TypeError: If the dataset is none of mmengine's, or does not tell its labels.
    """

    def __init__(self,
                 dataset: dict | BaseDataset,
                 rate: float = 0.2,
                 kind: str = 'symmetric',
                 class_map: str | Mapping | None = None,
                 seed: int = 0,
                 lazy_init: bool = False) -> None:
        label_noise.check_noise(rate, seed)
        if kind not in KINDS:
            raise ValueError(f'kind must be one of {KINDS}, but got {kind!r}.')
        if (kind == 'asymmetric') != (class_map is not None):
            raise ValueError("kind='asymmetric' needs a class_map, which kind='symmetric' does not "
                             f'take, but got kind={kind!r} and class_map={class_map!r}.')
        self.dataset = MMENGINE_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.rate, self.kind, self.class_map, self.seed = rate, kind, class_map, seed
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """A copy of the metainfo of the wrapped dataset."""
        return getattr(self.dataset, 'metainfo', {})

    def full_init(self) -> None:
        """Read the labels of the wrapped dataset and draw the wrong ones."""
        if self._fully_initialized:
            return
        self._parts, self._clean, self._ids = find_images(self.dataset)
        foreign = [type(part).__name__ for part in self._parts if not isinstance(part, BaseDataset)]
        if foreign:
            raise TypeError("NoisyLabelDataset wraps datasets based on mmengine's BaseDataset, "
                            f'but got {foreign[0]}.')
        self._starts = np.cumsum([0, *map(len, self._parts)])
        self.indices: np.ndarray = np.arange(len(self._ids))  # of the wrapped dataset's items
        used = np.unique(self._ids)  # a wrapper may leave out images and repeat others
        self._noisy = self._clean.copy()
        self._noisy[used] = self._flip(self._clean[used])
        number = np.count_nonzero(self._noisy != self._clean)
        print_log(f'NoisyLabelDataset: {number} of {len(used)} images have a wrong label '
                  f'({self.kind} noise, rate {self.rate}, seed {self.seed}).', logger='current')
        self._fully_initialized = True

    def _flip(self, labels: np.ndarray) -> np.ndarray:
        classes = self.metainfo.get('classes')
        number = len(classes) if classes is not None else int(labels.max(initial=-1)) + 1
        class_map = None if self.class_map is None else label_noise.resolve_class_map(
            self.class_map, number, classes)
        return label_noise.flip_labels(labels, number, self.rate, self.seed, class_map)

    @property
    @force_full_init
    def clean_labels(self) -> np.ndarray:
        """The true labels, int64 of shape (N,)."""
        return self._clean[self._ids]

    @property
    @force_full_init
    def is_noisy(self) -> np.ndarray:
        """Whose label is wrong, bool of shape (N,)."""
        return (self._noisy != self._clean)[self._ids]

    @force_full_init
    def get_gt_labels(self) -> np.ndarray:
        """The labels with noise, int64 of shape (N,)."""
        return self._noisy[self._ids]

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of one sample, in a list, as class-balanced sampling asks for it."""
        return [int(self._noisy[self._ids[idx]])]

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """The record of the wrapped dataset, with the noisy ``gt_label`` and ``clean_label``."""
        return self._relabel(*self._locate(idx))

    @force_full_init
    def __getitem__(self, idx: int) -> Any:
        number, place = self._locate(idx)
        part = self._parts[number]
        # The dataset's own __getitem__, on a view of it whose records have noisy labels: also
        # those fetched instead of broken ones. Anew each time, as hooks may switch the pipeline.
        view = object.__new__(type(part))
        view.__dict__.update(part.__dict__, get_data_info=lambda i: self._relabel(number, i))
        return view[place]

    @force_full_init
    def __len__(self) -> int:
        return len(self._ids)

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep some samples, or so many first (last, if negative) ones, labels unchanged."""
        if isinstance(indices, int):
            indices = range(min(indices, 0), max(indices, 0))
        chosen = np.asarray(indices, dtype=np.int64)
        self.indices, self._ids = self.indices[chosen], self._ids[chosen]

    def get_subset(self, indices: int | Sequence[int]) -> NoisyLabelDataset:
        """A copy with some of the samples; both share the wrapped dataset."""
        subset = copy.copy(self)
        subset.get_subset_(indices)
        return subset

    def _locate(self, idx: int) -> tuple[int, int]:
        """The number of a dataset below the wrappers, and the index there."""
        number = int(np.searchsorted(self._starts, self._ids[idx], side='right')) - 1
        return number, int(self._ids[idx] - self._starts[number])

    def _relabel(self, number: int, place: int) -> dict:
        image = self._starts[number] + place
        return dict(self._parts[number].get_data_info(place), gt_label=int(self._noisy[image]),
                    clean_label=int(self._clean[image]))
