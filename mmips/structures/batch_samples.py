# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The data samples of a batch that was made as a whole."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor


class BatchSamples:
    """Labels of a whole batch, which turn into mmpretrain's data samples where one is asked for.

    Anything that goes through a list of ``DataSample`` takes it; what knows it reads the tensors
    and spares some microseconds an image. It is no ``Sequence`` by its class: torch would make a
    list of one when it pins a batch.

    Args:
        gt_label (Tensor): Labels, int64 (N,).
        sample_idx (Sequence[int]): The data set's own number of every image.
        gt_score (Tensor, optional): Scores (N, K) that batch augments have made.
        img_path (Sequence[str], optional): The file of every image.
    """

    def __init__(self, gt_label: Tensor, sample_idx: Sequence[int],
                 gt_score: Tensor | None = None, img_path: Sequence[str] | None = None) -> None:
        self.gt_label, self.sample_idx, self.gt_score = gt_label, sample_idx, gt_score
        self.img_path = img_path
        self._samples: list[Any] | None = None

    @property
    def target(self) -> Tensor:
        """Scores (N, K) where there are any, or else labels (N,)."""
        return self.gt_label if self.gt_score is None else self.gt_score

    def pin_memory(self) -> BatchSamples:
        """The labels, as a data loader hands them out, in page-locked memory."""
        return BatchSamples(self.gt_label.pin_memory(), self.sample_idx, img_path=self.img_path)

    def __len__(self) -> int:
        return len(self.gt_label)

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:])

    def __getitem__(self, item: Any) -> Any:
        if self._samples is None:
            self._samples = self._make()
        return self._samples[item]

    def _make(self) -> list[Any]:
        from mmpretrain.structures import DataSample
        data: dict[str, Any] = dict(gt_label=self.gt_label.split(1))
        if self.gt_score is not None:
            data['gt_score'] = self.gt_score.unbind()
        known: dict[str, Any] = dict(sample_idx=map(int, self.sample_idx))
        if self.img_path is not None:
            known['img_path'] = self.img_path
        samples = []
        for values in zip(*data.values(), *known.values()):
            # What its constructor and `set_field` leave behind, whose checks would take most of
            # the host's time of a small step.
            sample = DataSample.__new__(DataSample)
            vars(sample).update(zip([*data, *known], values), _metainfo_fields=set(known),
                                _data_fields=set(data))
            samples.append(sample)
        return samples
