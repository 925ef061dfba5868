# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Whether the number that a dataset gives an image says which image it is."""
from typing import Any

from mmengine.dataset import BaseDataset

from mmips.datasets.whole_batch_dataset import WholeBatchDataset
from mmips.errors import UserError


def count_numbers(dataset: Any) -> int:
    """How many images the ``sample_idx`` of a dataset tells apart; wrappers are seen through.

    Raises:
        UserError: Where two images have one number, as in a ``ConcatDataset``, or none has any.
    """
    if hasattr(dataset, 'full_init'):
        dataset.full_init()
    if isinstance(dataset, (BaseDataset, WholeBatchDataset)):
        return len(dataset)
    parts = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if len(parts) > 1 or parts[0] is None:
        problem = (f'numbers the images of each of its {len(parts)} parts from 0' if parts[0]
                   is not None else 'gives its images no sample_idx')
        raise UserError(
            f'{type(dataset).__name__} {problem}, but what remembers single images has to know '
            'them again. Use one dataset of mmengine or mmpretrain, or put yours into '
            'mmips.ImagesOnDevice, which numbers all images.')
    return count_numbers(parts[0])
