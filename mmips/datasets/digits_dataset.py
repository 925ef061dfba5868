# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from mmips.errors import check_choice
from mmips.registry import DATASETS

from .base_array_dataset import BaseArrayDataset


@DATASETS.register_module()
class DigitsDataset(BaseArrayDataset):
    """The 1797 handwritten digits bundled with scikit-learn, with few labels per class.

    The grey images of 8 x 8 pixels with values 0 to 16 are scaled to 0 to 255, enlarged
    bilinearly to ``size`` x ``size`` and given three equal channels. Of each of the ten classes
    ``per_class`` images, drawn by ``seed``, are the training set; all others are the test set.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository, 1998 (its test part, as ``sklearn.datasets.load_digits`` returns it).

    Args:
        split: 'train' or 'test'. Defaults to 'train'.
        per_class: Training images of each class, 1 to 173. Defaults to 10.
        size: Height and width in pixels. Defaults to 16.
        seed: Seed of the split; give both splits the same one. Defaults to 0.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``: ``pipeline``, ``indices``,
            ``test_mode``, ...

    Raises:
        ImportError: If scikit-learn is missing.
        ValueError: For an unknown split, or ``per_class`` or ``size`` out of range.
    """

    METAINFO = {'classes': tuple('0123456789')}

    def __init__(self, split: str = 'train', per_class: int = 10, size: int = 16, seed: int = 0,
                 **kwargs: Any) -> None:
        check_choice('split', split, ('train', 'test'))
        if not isinstance(size, int) or size < 1:
            raise ValueError(f'size must be a positive number of pixels, got {size!r}.')
        self.split, self.per_class, self.size, self.seed = split, per_class, size, seed
        kwargs.setdefault('ann_file', '')
        super().__init__(**kwargs)

    def load_arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Images (1797, size, size) uint8 and labels (1797,) int64."""
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise ImportError("DigitsDataset reads scikit-learn's digits. Run: pip install "
                              'scikit-learn') from error
        digits = load_digits()
        grey = (digits.images * (255 / 16)).astype(np.float32)
        side = (self.size, self.size)
        large = [cv2.resize(image, side, interpolation=cv2.INTER_LINEAR) for image in grey]
        return np.stack(large).round().astype(np.uint8), digits.target.astype(np.int64)

    def select_rows(self, labels: np.ndarray) -> np.ndarray:
        """The rows of this split, in ascending order."""
        most = int(np.bincount(labels).min()) - 1
        if not isinstance(self.per_class, int) or not 1 <= self.per_class <= most:
            raise ValueError(f'per_class must be between 1 and {most}, so that each class has '
                             f'test images left, got {self.per_class!r}.')
        # One generator for all classes, unlike ArrayDataset's: the demo's accuracies hang on it.
        rng = np.random.default_rng(self.seed)
        train = np.concatenate([rng.permutation(np.flatnonzero(labels == label))[:self.per_class]
                                for label in np.unique(labels)])
        return np.sort(train) if self.split == 'train' else np.delete(np.arange(len(labels)), train)
