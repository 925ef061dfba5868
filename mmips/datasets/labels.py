# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Labels of a dataset, without loading an image."""
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ['find_images', 'get_labels']

_ADVICE = ('There must be one label per image, as every single-label mmpretrain dataset has, alone '
           'or in Concat-, Repeat-, ClassBalanced-, KFold- or NoisyLabelDataset. For data without '
           "such labels PairedClassSampler can use partner='self'.")


def get_labels(dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """Read the label of every index, and which image it stands for.

    No image is loaded. Wrappers are seen through; those that repeat images give every copy
    the id of its image, so that an image is not paired with its own copy.

    Args:
        dataset: An mmpretrain or mmengine dataset or wrapper, a torch ``Subset``, or any
            object with a ``get_gt_labels()``.

    Returns:
        tuple[np.ndarray, np.ndarray]: Labels and image ids, int64, shape (len(dataset),).

    Raises:
        TypeError: If labels cannot be read from this kind of dataset.
        ValueError: If images have no label or several.
    """
    return _walk(dataset, {})


def find_images(dataset: Any) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """Find the datasets below the wrappers, and which of their images each index stands for.

    Args:
        dataset: See :func:`get_labels`.

    Returns:
        tuple[list, np.ndarray, np.ndarray]: The M images below, as datasets that are no wrappers;
        their labels, one dataset after the other, int64 of shape (M,); and for each index of
        ``dataset`` the place of its image among them, int64 of shape (len(dataset),).

    Raises:
        TypeError: If labels cannot be read from this kind of dataset.
        ValueError: If images have no label or several, or a wrapper has changed their labels.
    """
    seen: dict[int, _Plain] = {}
    labels, ids = _walk(dataset, seen)
    plain = list(seen.values())
    below = np.concatenate([part.labels for part in plain])
    if (below[ids] != labels).any():
        raise ValueError(f'{type(dataset).__name__} has labels that a wrapper below has changed '
                         'already, such as another NoisyLabelDataset. Use one only.')
    return [part.dataset for part in plain], below, ids


@dataclass
class _Plain:
    """A dataset that is no wrapper, its labels, and the id of its first image."""
    dataset: Any
    labels: np.ndarray
    first: int


def _walk(dataset: Any, seen: dict[int, _Plain]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and ids; ``seen`` holds each plain dataset met, by its ``id()``.

    Numbering whole plain datasets, rather than the items that a wrapper picks from them, keeps
    two subsets of one dataset comparable and those of two datasets apart.
    """
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    if hasattr(dataset, 'datasets'):
        labels, ids = zip(*(_walk(part, seen) for part in dataset.datasets))
        return np.concatenate(labels), np.concatenate(ids)
    # `times` and `indices` also name options of plain datasets; only a wrapper has a `dataset`.
    if hasattr(dataset, 'dataset'):
        if hasattr(dataset, 'times'):
            labels, ids = _walk(dataset.dataset, seen)
            return np.tile(labels, dataset.times), np.tile(ids, dataset.times)
        for attribute in ('repeat_indices', 'indices'):
            if hasattr(dataset, attribute):
                labels, ids = _walk(dataset.dataset, seen)
                chosen = np.asarray(getattr(dataset, attribute), dtype=np.int64)
                return labels[chosen], ids[chosen]
        # The images of a NoisyLabelDataset or a KFoldDataset are those of the dataset it holds.
        if hasattr(type(dataset), 'clean_labels') or hasattr(dataset, 'fold'):
            return _check(dataset, _read(dataset)), _walk(dataset.dataset, seen)[1]
    if id(dataset) not in seen:
        labels = _check(dataset, _read(dataset))
        seen[id(dataset)] = _Plain(dataset, labels, sum(len(p.labels) for p in seen.values()))
    part = seen[id(dataset)]
    return part.labels, part.first + np.arange(len(part.labels))


def _read(dataset: Any) -> Any:
    try:
        if _is_stock(dataset):
            return [record['gt_label'] for record in _records(dataset)]
        if hasattr(dataset, 'get_gt_labels'):
            return dataset.get_gt_labels()
    except KeyError as error:
        raise ValueError(
            f'{type(dataset).__name__} has images without {error}. {_ADVICE}') from error
    raise TypeError(f'Cannot read labels from {type(dataset).__name__}. {_ADVICE}')


def _is_stock(dataset: Any) -> bool:
    """Whether nobody has overridden how records and labels are read."""
    stock = ('mmengine.dataset.base_dataset', 'mmpretrain.datasets.base_dataset')
    methods = [getattr(type(dataset), name, None) for name in ('get_data_info', 'get_gt_labels')]
    return methods[0] is not None and all(m is None or m.__module__ in stock for m in methods)


def _records(dataset: Any) -> Iterator[dict]:
    """Records of an mmengine ``BaseDataset``, as they are.

    ``get_gt_labels`` reads each through ``get_data_info``, which takes three times as long.
    """
    if not dataset.serialize_data:
        yield from dataset.data_list
        return
    ends = dataset.data_address.tolist()
    data = memoryview(dataset.data_bytes)
    for start, end in zip([0, *ends], ends):
        yield pickle.loads(data[start:end])


def _check(dataset: Any, labels: Any) -> np.ndarray:
    try:
        array = np.asarray(labels)
    except ValueError:  # label lists of different lengths
        array = np.empty(0, dtype=object)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        first = labels[0] if len(labels) else None
        raise ValueError(f'{type(dataset).__name__} must have one integer label per image, but '
                         f'the first is {first!r}. {_ADVICE}')
    if array.min(initial=0) < 0:
        raise ValueError(
            f'{type(dataset).__name__} has the negative label {array.min()}. {_ADVICE}')
    return array.astype(np.int64)
