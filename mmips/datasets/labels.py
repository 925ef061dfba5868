# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Labels of a dataset, without loading an image."""
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

_ADVICE = ('There must be one label per image, as every single-label mmpretrain dataset has, alone '
           'or in Concat-, Repeat-, ClassBalanced-, KFold- or NoisyLabelDataset. For data without '
           "such labels PairedClassSampler can use partner='self'.")

# Samplers count the images of each class, in memory for all up to the highest label.
_MOST = 2**24


def get_labels(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """The label of every index and the id of its image, each int64 of shape (len(dataset),).

    The dataset is one of mmengine or mmpretrain, or anything with ``get_gt_labels()``. Wrappers
    and torch's ``Subset`` are seen through: copies of an image share its id, so that it is not
    paired with itself. A ValueError where images do not have one label each.
    """
    return _walk(dataset, {})


def _walk(dataset: Any, seen: dict[int, tuple[np.ndarray, np.ndarray]]
          ) -> tuple[np.ndarray, np.ndarray]:
    """Labels and ids; whole datasets are numbered, so that two subsets of one share ids."""
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    if hasattr(dataset, 'datasets'):
        labels, ids = zip(*(_walk(part, seen) for part in dataset.datasets))
        return np.concatenate(labels), np.concatenate(ids)
    places = _places(dataset)
    if places is not None:
        labels, ids = _walk(dataset.dataset, seen)
        return labels[places], ids[places]
    if id(dataset) not in seen:
        labels, first = _read(dataset), sum(len(labels) for labels, _ in seen.values())
        seen[id(dataset)] = labels, first + np.arange(len(labels))
    return seen[id(dataset)]


def _places(dataset: Any) -> Any:
    """The items of the wrapped dataset that a wrapper has, ``None`` for any other dataset."""
    # `times` and `indices` also name options of plain datasets; only a wrapper has a `dataset`.
    # A NoisyLabelDataset, one of mmengine's datasets itself, has labels of its own.
    if isinstance(dataset, BaseDataset) or not hasattr(dataset, 'dataset'):
        return None
    if hasattr(dataset, 'times'):
        return np.tile(np.arange(len(dataset.dataset)), dataset.times)
    for attribute in ('repeat_indices', 'indices'):
        if hasattr(dataset, attribute):
            return np.asarray(getattr(dataset, attribute), dtype=np.int64)
    # A KFoldDataset holds its fold.
    return slice(None) if hasattr(dataset, 'fold') else None


def _read(dataset: Any) -> np.ndarray:
    name = type(dataset).__name__
    try:
        labels = np.asarray(dataset.get_gt_labels() if hasattr(dataset, 'get_gt_labels') else [
            dataset.get_data_info(number)['gt_label'] for number in range(len(dataset))])
    except (AttributeError, KeyError, ValueError) as error:  # lists of different lengths, too
        raise ValueError(f'Cannot read one label per image from {name}: {error}. {_ADVICE}'
                         ) from error
    integers = labels.ndim == 1 and np.issubdtype(labels.dtype, np.integer)
    wrong = labels[(labels < 0) | (labels >= _MOST)] if integers else labels
    if len(wrong):
        raise ValueError(f'{name} must have one integer label from 0 per image, but has '
                         f'{wrong[0]!r} (the highest that may be is {_MOST - 1:,}). {_ADVICE}')
    return labels.astype(np.int64)
