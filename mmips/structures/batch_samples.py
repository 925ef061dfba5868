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
        samples = [DataSample() for _ in range(len(self))]
        for sample, label, index in zip(samples, self.gt_label.split(1), self.sample_idx):
            sample.set_field(label, 'gt_label')
            sample.set_field(int(index), 'sample_idx', field_type='metainfo')
        for sample, path in zip(samples, self.img_path or ()):
            sample.set_field(path, 'img_path', field_type='metainfo')
        if self.gt_score is not None:
            for sample, score in zip(samples, self.gt_score):
                sample.set_field(score, 'gt_score')
        return samples
