# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Arrays on disk, without a toolbox: configs call :func:`count_npz_classes`."""
import os.path as osp
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mmips.errors import MissingFileError, UserError

from .files import fault, printable, reason

_MAKE = ("np.savez('x.npz', images_train=..., labels_train=..., images_test=..., "
         'labels_test=..., classes=[...]) with uint8 RGB images (N, H, W, 3)')


def count_npz_classes(path: str, limit: int | None = None, key: str = 'labels_train') -> int:
    """Number of classes of a ``.npz`` file, or of the first ``limit`` of them.

    That of the names in its array 'classes', or else of the labels, which then must be 0, 1, ...
    without a gap.
    """
    with open_arrays(path) as arrays:
        if key not in arrays.files:
            raise UserError(f'{printable(path)} has no array {key}, only {sorted(arrays.files)}: '
                            f'make it by {_MAKE}.')
        labels = arrays[key]
        named = len(arrays['classes']) if 'classes' in arrays.files else 0
    if labels.ndim != 1 or not labels.size or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f'{printable(path)}: {key} must be one integer for each image, got '
                        f'{labels.dtype} {labels.shape}.')
    found = np.unique(labels)
    found = found[found < (limit or np.inf)]
    number = min(named or len(found), limit or np.inf)
    if not len(found) or found[0] < 0 or found[-1] >= number:
        count = f'{named} names in classes' if named else f'{len(found)} different ones'
        raise UserError(f'{printable(path)}: {key} has labels from {labels.min()} to '
                        f'{labels.max()}, but there are {count}: number the classes from 0 without '
                        'a gap, or name all of them in an array classes.')
    return int(number)


@contextmanager
def open_arrays(path: str) -> Iterator[Any]:
    """The arrays of a ``.npz`` file, or one memory-mapped ``.npy``; a UserError if it is none."""
    if problem := fault(path):
        raise MissingFileError(
            f'{printable(osp.abspath(path))} {problem}. Set MMIPS_NPZ (or data_root and the '
            f'name of the file), or make the file: {_MAKE}.')
    try:
        arrays = np.load(path, mmap_mode='r' if path.endswith('.npy') else None)
        yield arrays
    except UserError:
        raise
    except Exception as error:  # whatever a file may hold
        raise UserError(f'{printable(path)} cannot be read as arrays of numbers ({reason(error)}): '
                        f'it is cut off, or no such file. Make it anew: {_MAKE}.') from error
