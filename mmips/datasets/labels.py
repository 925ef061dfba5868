# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Labels of a dataset, without loading an image."""
from typing import Any

import numpy as np

__all__ = ['find_images', 'get_labels']

_ADVICE = ('There must be one label per image, as every single-label mmpretrain dataset has, alone '
           'or in Concat-, Repeat-, ClassBalanced-, KFold- or NoisyLabelDataset. For data without '
           "such labels PairedClassSampler can use partner='self'.")
# Plain datasets met so far, by their id(): the dataset, its labels, the id of its first image.
_Seen = dict[int, tuple[Any, np.ndarray, int]]


def get_labels(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """The label of every index and the id of its image, each int64 of shape (len(dataset),).

    The dataset is one of mmengine or mmpretrain, or anything with ``get_gt_labels()``. Wrappers
    and torch's ``Subset`` are seen through: copies of an image share its id, so that it is not
    paired with itself. A TypeError or ValueError where images do not have one label each.
    """
    return _walk(dataset, {})


def find_images(dataset: Any) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """The datasets below the wrappers, the labels of their M images, and each index's image.

    Labels stand one dataset after the other, int64 (M,); images are places in them, int64
    (len(dataset),).
    """
    seen: _Seen = {}
    labels, ids = _walk(dataset, seen)
    parts, below, _ = zip(*seen.values())
    true = np.concatenate(below)
    if (true[ids] != labels).any():
        raise ValueError(f'{type(dataset).__name__} has labels that a wrapper below has changed '
                         'already, such as another NoisyLabelDataset. Use one only.')
    return list(parts), true, ids


def _walk(dataset: Any, seen: _Seen) -> tuple[np.ndarray, np.ndarray]:
    """Labels and ids; whole datasets are numbered, so that two subsets of one share ids."""
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    if hasattr(dataset, 'datasets'):
        labels, ids = zip(*(_walk(part, seen) for part in dataset.datasets))
        return np.concatenate(labels), np.concatenate(ids)
    places = _places(dataset)
    if places is not None:
        labels, ids = _walk(dataset.dataset, seen)
        # A NoisyLabelDataset has other labels than the dataset it holds, for the same images.
        noisy = hasattr(type(dataset), 'clean_labels')
        return dataset.get_gt_labels() if noisy else labels[places], ids[places]
    if id(dataset) not in seen:
        first = sum(len(labels) for _, labels, _ in seen.values())
        seen[id(dataset)] = dataset, _read(dataset), first
    _, labels, first = seen[id(dataset)]
    return labels, first + np.arange(len(labels))


def _places(dataset: Any) -> Any:
    """The items of the wrapped dataset that a wrapper has, ``None`` for any other dataset."""
    # `times` and `indices` also name options of plain datasets; only a wrapper has a `dataset`.
    if not hasattr(dataset, 'dataset'):
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
        if hasattr(dataset, 'get_gt_labels'):
            labels = np.asarray(dataset.get_gt_labels())
        else:
            size = range(len(dataset))
            labels = np.asarray([dataset.get_data_info(i)['gt_label'] for i in size])
    except AttributeError as error:
        raise TypeError(f'Cannot read labels from {name}. {_ADVICE}') from error
    except (KeyError, ValueError) as error:  # no label, or lists of different lengths
        raise ValueError(f'{name} has images without one label: {error}. {_ADVICE}') from error
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f'{name} must have one integer label per image, but the first is '
                         f'{next(iter(labels), None)!r}. {_ADVICE}')
    if labels.min(initial=0) < 0:
        raise ValueError(f'{name} has the negative label {labels.min()}. {_ADVICE}')
    return labels.astype(np.int64)
