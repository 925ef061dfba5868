# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Labels of a dataset, without loading an image."""
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ['get_labels']

_ADVICE = ('PairedClassSampler needs one label per image, as every single-label mmpretrain dataset '
           'has, alone or in Concat-, Repeat-, ClassBalanced- or KFoldDataset. For data without '
           "such labels use partner='self'.")


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


def _walk(dataset: Any, seen: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and ids; ``seen`` holds the ids of each plain dataset met, by its ``id()``.

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
    labels = _check(dataset, _read(dataset))
    if id(dataset) not in seen:
        seen[id(dataset)] = np.arange(len(labels)) + sum(map(len, seen.values()))
    return labels, seen[id(dataset)]


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
