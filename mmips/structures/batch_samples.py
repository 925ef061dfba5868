# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The data samples of a batch that was made as a whole."""
from collections.abc import Sequence
from typing import Any

from torch import Tensor


class BatchSamples(Sequence):
    """Labels of a whole batch, which turn into mmpretrain's data samples where one is asked for.

    Anything that goes through a list of ``DataSample`` takes it; what knows it reads the tensors
    and spares some microseconds an image.

    Args:
        gt_label (Tensor): Labels, int64 (N,).
        sample_idx (Sequence[int]): The data set's own number of every image.
        gt_score (Tensor, optional): Scores (N, K) that batch augments have made.
    """

    def __init__(self, gt_label: Tensor, sample_idx: Sequence[int],
                 gt_score: Tensor | None = None) -> None:
        self.gt_label, self.sample_idx, self.gt_score = gt_label, sample_idx, gt_score
        self._samples: list[Any] | None = None

    @property
    def target(self) -> Tensor:
        """Scores (N, K) where there are any, or else labels (N,)."""
        return self.gt_label if self.gt_score is None else self.gt_score

    def __len__(self) -> int:
        return len(self.gt_label)

    def __getitem__(self, item: Any) -> Any:
        if self._samples is None:
            self._samples = self._make()
        return self._samples[item]

    def _make(self) -> list[Any]:
        from mmpretrain.structures import DataSample
        fields = dict(gt_label=self.gt_label.split(1))
        if self.gt_score is not None:
            fields['gt_score'] = self.gt_score.unbind()
        samples = []
        for index, *values in zip(self.sample_idx, *fields.values()):
            # What its constructor and `set_field` leave behind, whose checks would take most of
            # the host's time of a small step.
            sample = DataSample.__new__(DataSample)
            vars(sample).update(zip(fields, values), sample_idx=int(index),
                                _metainfo_fields={'sample_idx'}, _data_fields=set(fields))
            samples.append(sample)
        return samples
