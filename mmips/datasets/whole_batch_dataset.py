# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

import numpy as np
from mmpretrain.registry import DATASETS
from torch.utils.data import Dataset

from mmips.errors import UserError

from .labels import get_labels
from .named_samples import leaves


class WholeBatchDataset(Dataset):
    """A data set without a pipeline, whose images a subclass hands out as whole batches.

    torch's data loader prefers ``__getitems__(indices)`` to one call an image, so samplers,
    epochs, sharding and resuming stay as they are; ``mmips.whole_batch`` collates.

    Args:
        dataset (dict): Config of the data set.

    Raises:
        UserError: If it has a pipeline.
    """

    def __init__(self, dataset: dict) -> None:
        self.dataset: Any = DATASETS.build(dataset)
        self.dataset.full_init()
        self.metainfo = self.dataset.metainfo
        for part in leaves(self.dataset):
            if getattr(getattr(part, 'pipeline', None), 'transforms', ()):
                raise UserError(
                    f'{type(part).__name__} has a pipeline, which whole batches do not go '
                    "through. Leave it out: crops and flips are the data preprocessor's.")
        self._labels = get_labels(self.dataset)[0]

    def __len__(self) -> int:
        return len(self._labels)

    def get_gt_labels(self) -> np.ndarray:
        """All labels, int64 (N,)."""
        return self._labels
