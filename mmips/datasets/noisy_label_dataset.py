# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, Compose
from mmengine.logging import print_log
from mmengine.registry import DATASETS as MMENGINE_DATASETS

from mmips.errors import check_choice
from mmips.functional import label_noise
from mmips.registry import DATASETS

from .labels import get_labels


@DATASETS.register_module()
class NoisyLabelDataset(BaseDataset):
    """A dataset whose labels are wrong at a given rate (IPS paper, Table 14).

    In every class of n images exactly ``rate * n``, a half rounded up, get a wrong label, drawn
    once, from ``seed`` alone; see :mod:`mmips.functional.label_noise`. The pipeline, records and
    samplers are given the wrong ones. The true ones remain as ``clean_labels``, and in every
    sample as ``clean_label``, which ``PackInputs`` keeps if its ``meta_keys`` name it.

    Its class is derived from that of ``dataset``, so it has all that this one has, and shares the
    pipeline with it. The wrapped dataset is not changed, and no image is copied. Wrappers such as
    ``RepeatDataset`` belong around it.

    Args:
        dataset (dict | BaseDataset): A single-label dataset based on mmengine's ``BaseDataset``.
        rate (float): Share of wrong labels in each class, in [0, 1]. Default: 0.2.
        kind (str): 'symmetric', to any other class with the same probability, or 'asymmetric',
            to the one that ``class_map`` says. Default: 'symmetric'.
        class_map (str | dict, optional): For asymmetric noise: {source: target}, each a class
            number or name, other classes keep their labels; or 'next', from every class to the
            one after it, or 'cifar100', to the next one in the superclass. Default: None.
        seed (int): Of the noise; not negative. Default: 0.
        lazy_init (bool): Leave reading and drawing labels to ``full_init``. Default: False.

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
                 seed: int = 0,
                 lazy_init: bool = False) -> None:
        label_noise.check_noise(rate, seed)
        check_choice('kind', kind, ('symmetric', 'asymmetric'))
        if (kind == 'asymmetric') != (class_map is not None):
            raise ValueError("kind='asymmetric' needs a class_map, which kind='symmetric' does not "
                             f'take, but got kind={kind!r} and class_map={class_map!r}.')
        if isinstance(dataset, dict):
            dataset = MMENGINE_DATASETS.build(dataset)
        if not isinstance(dataset, BaseDataset) or isinstance(dataset, NoisyLabelDataset):
            raise TypeError("NoisyLabelDataset wraps a dataset based on mmengine's BaseDataset, "
                            f'but got {type(dataset).__name__}. Put wrappers around it: '
                            'RepeatDataset(dataset=dict(type="mmips.NoisyLabelDataset", ...)).')
        self.__class__ = _derive(type(dataset))  # type: ignore[arg-type]
        # One name for all of it: what the dataset calls its own `seed` remains its own.
        self._noise = rate, kind, class_map, seed
        self._take(dataset)
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Read the labels, and draw the wrong ones."""
        if self._fully_initialized:
            return
        rate, kind, class_map, seed = self._noise
        clean, _ = get_labels(self.dataset)
        classes = self.dataset.metainfo.get('classes')
        number = len(classes) if classes is not None else int(clean.max(initial=-1)) + 1
        if class_map is not None:
            class_map = label_noise.resolve_class_map(class_map, number, classes)
        noisy = label_noise.flip_labels(clean, number, rate, seed, class_map)
        # The records have been read by now.
        self._take(self.dataset)
        self.clean_labels, self._noisy_labels = clean, noisy
        print_log(f'NoisyLabelDataset: {self.is_noisy.sum()} of {len(self)} images have a wrong '
                  f'label ({kind} noise, rate {rate}, seed {seed}).', 'current')

    def _take(self, dataset: BaseDataset) -> None:
        self.__dict__.update(dataset.__dict__, dataset=dataset)

    @property
    def pipeline(self) -> Compose:
        """That of the wrapped dataset: hooks may switch it in either."""
        return self.dataset.pipeline

    @pipeline.setter
    def pipeline(self, pipeline: Compose) -> None:
        self.dataset.pipeline = pipeline

    @property
    def is_noisy(self) -> np.ndarray:
        """Whose label is wrong, bool of shape (N,)."""
        return self.get_gt_labels() != self.clean_labels

    def get_gt_labels(self) -> np.ndarray:
        """The labels with noise, int64 of shape (N,)."""
        self.full_init()
        return self._noisy_labels

    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of one sample, in a list, as class-balanced sampling asks for it."""
        return [int(self.get_gt_labels()[idx])]

    def get_data_info(self, idx: int) -> dict:
        """The record of the wrapped dataset, with the noisy ``gt_label`` and ``clean_label``."""
        return dict(super().get_data_info(idx), gt_label=self.get_cat_ids(idx)[0],
                    clean_label=int(self.clean_labels[idx]))

    def get_subset_(self, indices: Sequence[int] | int) -> None:
        """Keep the first samples, or for a negative number the last, or some; labels unchanged."""
        noisy = self.get_gt_labels()
        places: Any = (np.asarray(indices, dtype=np.int64) if not isinstance(indices, int) else
                       slice(indices) if indices >= 0 else slice(indices, None))
        self._take(self.dataset.get_subset(indices))
        self.clean_labels, self._noisy_labels = self.clean_labels[places], noisy[places]

    def get_subset(self, indices: Sequence[int] | int) -> NoisyLabelDataset:
        """A copy that :meth:`get_subset_` has cut down, as ``KFoldDataset`` asks for it."""
        self.full_init()
        subset = copy.copy(self)
        subset.get_subset_(indices)
        return subset

    def __reduce_ex__(self, protocol: Any) -> tuple:
        # Its class has no name of its own, by which pickle would find it.
        _, _, *state = super().__reduce_ex__(protocol)
        return _new, (type(self.dataset), ), *state


@functools.cache
def _derive(kind: type) -> type:
    return type(NoisyLabelDataset.__name__, (NoisyLabelDataset, kind), {})


def _new(kind: type) -> Any:
    return object.__new__(_derive(kind))
