# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What samplers are timed on, and the ways of pairing that ours replaces."""
import random
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

__all__ = ['LabelArray', 'PerIndexSampler', 'make_labels']


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
