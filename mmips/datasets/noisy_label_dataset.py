# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.registry import DATASETS as MMENGINE_DATASETS

from mmips.errors import check_choice
from mmips.functional import label_noise
from mmips.registry import DATASETS

from .labels import get_labels


@DATASETS.register_module()
class NoisyLabelDataset:
    """A dataset whose labels are wrong at a given rate (IPS paper, Table 14).

    In every class of n images exactly ``rate * n``, a half rounded up, get a wrong label, drawn
    once, from ``seed`` alone; see :mod:`mmips.functional.label_noise`. The pipeline, records and
    samplers are given the wrong ones. The true ones remain as ``clean_labels``, and in every
    sample as ``clean_label``, which ``PackInputs`` keeps if its ``meta_keys`` name it.

    The wrapped dataset is not changed, and no image is copied. Wrappers such as ``RepeatDataset``
    belong around it.

    Args:
        dataset (dict | BaseDataset): A single-label dataset based on mmengine's ``BaseDataset``.
        rate (float): Share of wrong labels in each class, in [0, 1]. Default: 0.2.
        kind (str): 'symmetric', to any other class with the same probability, or 'asymmetric',
            to the one that ``class_map`` says. Default: 'symmetric'.
        class_map (str | dict, optional): For asymmetric noise: {source: target}, each a class
            number or name, other classes keep their labels; or 'next', from every class to the
            one after it, or 'cifar100', to the next one in the superclass. Default: None.
        seed (int): Of the noise; not negative. Default: 0.

    Raises:
        ValueError: For arguments out of range or at odds with each other or with the classes,
            and for images without a label or with several.
        TypeError: If the dataset is a wrapper, or none of mmengine's.
    """

    def __init__(self,
                 dataset: dict | BaseDataset,
                 rate: float = 0.2,
                 kind: str = 'symmetric',
                 class_map: str | Mapping | None = None,
                 seed: int = 0) -> None:
        label_noise.check_noise(rate, seed)
        check_choice('kind', kind, ('symmetric', 'asymmetric'))
        if (kind == 'asymmetric') != (class_map is not None):
            raise ValueError("kind='asymmetric' needs a class_map, which kind='symmetric' does not "
                             f'take, but got kind={kind!r} and class_map={class_map!r}.')
        self.dataset = MMENGINE_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        if not isinstance(self.dataset, BaseDataset):
            raise TypeError("NoisyLabelDataset wraps a dataset based on mmengine's BaseDataset, "
                            f'but got {type(self.dataset).__name__}. Put wrappers around it: '
                            'RepeatDataset(dataset=dict(type="mmips.NoisyLabelDataset", ...)).')
        self.rate, self.kind, self.class_map, self.seed = rate, kind, class_map, seed
        self.clean_labels, _ = get_labels(self.dataset)
        classes = self.metainfo.get('classes')
        number = len(classes) if classes is not None else int(self.clean_labels.max(initial=-1)) + 1
        if class_map is not None:
            class_map = label_noise.resolve_class_map(class_map, number, classes)
        self._labels = label_noise.flip_labels(self.clean_labels, number, rate, seed, class_map)
        print_log(f'NoisyLabelDataset: {self.is_noisy.sum()} of {len(self)} images have a wrong '
                  f'label ({kind} noise, rate {rate}, seed {seed}).', 'current')

    def full_init(self) -> None:
        """Do nothing: all is read at once."""

    @property
    def metainfo(self) -> dict:
        """A copy of the metainfo of the wrapped dataset."""
        return self.dataset.metainfo

    @property
    def is_noisy(self) -> np.ndarray:
        """Whose label is wrong, bool of shape (N,)."""
        return self._labels != self.clean_labels

    def get_gt_labels(self) -> np.ndarray:
        """The labels with noise, int64 of shape (N,)."""
        return self._labels

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of one sample, in a list, as class-balanced sampling asks for it."""
        return [int(self._labels[idx])]

    def get_data_info(self, idx: int) -> dict:
        """The record of the wrapped dataset, with the noisy ``gt_label`` and ``clean_label``."""
        return dict(self.dataset.get_data_info(idx), gt_label=int(self._labels[idx]),
                    clean_label=int(self.clean_labels[idx]))

    def __getitem__(self, idx: int) -> Any:
        # The dataset's own __getitem__, on a view of it whose records have noisy labels: also
        # those fetched instead of broken ones. Anew each time, as hooks may switch the pipeline.
        view = object.__new__(type(self.dataset))
        view.__dict__.update(self.dataset.__dict__, get_data_info=self.get_data_info)
        return view[idx]

    def __len__(self) -> int:
        return len(self._labels)

    def get_subset(self, indices: Sequence[int]) -> NoisyLabelDataset:
        """A copy with some of the samples, labels unchanged, as ``KFoldDataset`` asks for it."""
        subset, places = copy.copy(self), np.asarray(indices, dtype=np.int64)
        subset.dataset = self.dataset.get_subset(indices)
        subset.clean_labels, subset._labels = self.clean_labels[places], self._labels[places]
        return subset
