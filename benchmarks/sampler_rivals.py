# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What samplers are timed on, and the ways of pairing that ours replaces."""
import os.path as osp
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from mmpretrain.datasets import CustomDataset

__all__ = ['LabelArray', 'PerIndexSampler', 'RecordDataset', 'index_by_items', 'make_labels']


def make_labels(images: int, classes: int) -> np.ndarray:
    """Random labels, int64 (images,), every class about equally often."""
    return np.random.default_rng(0).integers(classes, size=images)


class LabelArray:
    """As much of a dataset as a sampler asks for, with the labels in an array."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def get_gt_labels(self) -> np.ndarray:
        """Labels, int64 (N,)."""
        return self.labels


class RecordDataset(CustomDataset):
    """mmpretrain's dataset over records that look like ImageNet's; all name one file.

    Args:
        labels (np.ndarray): Labels, int64 (N,).
        folder (str): Where the one image is written.
    """

    def __init__(self, labels: np.ndarray, folder: str) -> None:
        self._labels = labels
        self._file = osp.join(folder, 'n01440764_10026.JPEG')
        _write_photo(self._file)
        pipeline = [dict(type='LoadImageFromFile'), dict(type='RandomResizedCrop', scale=224),
                    dict(type='PackInputs')]
        super().__init__(data_prefix=folder, pipeline=pipeline)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Records of path and label, without reading a list from a disk."""
        return [dict(img_path=self._file, gt_label=label) for label in self._labels.tolist()]


def _write_photo(path: str) -> None:
    """A JPEG of ImageNet's usual size, 500 x 375, with a photo's share of detail."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(256, size=(25, 33, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (500, 375)).astype(np.int64) + rng.integers(-8, 9, (375, 500, 3))
    cv2.imwrite(path, image.clip(0, 255).astype(np.uint8))


class PerIndexSampler:
    """Queries in random order, a partner drawn for each by a few lines of Python."""

    def __init__(self, dataset: LabelArray) -> None:
        self.labels = dataset.get_gt_labels().tolist()
        self.members: dict[int, list[int]] = defaultdict(list)
        for index, label in enumerate(self.labels):
            self.members[label].append(index)

    def __len__(self) -> int:
        return 2 * len(self.labels)

    def __iter__(self) -> Iterator[int]:
        order = list(range(len(self.labels)))
        random.shuffle(order)
        for query in order:
            members = self.members[self.labels[query]]
            partner = query
            while partner == query and len(members) > 1:
                partner = random.choice(members)
            yield query
            yield partner


def index_by_items(dataset: Any, images: int) -> dict[int, list[int]]:
    """The class index as it is often built: by loading every item for its label."""
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(images):
        members[int(dataset[index]['data_samples'].gt_label)].append(index)
    return members
