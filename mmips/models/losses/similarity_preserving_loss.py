# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmips.functional.precision import at_least_float32
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class SimilarityPreservingLoss(nn.Module):
    r"""Similarity preserving: which images of a batch look alike to student and teacher.

    With the last maps as rows :math:`Q` (N, C x H x W) the loss is
    :math:`\|\hat G_t - \hat G_s\|_F^2 / N^2`, where the rows of :math:`\hat G` are those of
    :math:`Q Q^T` at length 1 (Tung and Mori, Similarity-Preserving Knowledge Distillation, arXiv
    1907.09682, Eq. 1 to 4). The usual weight is 3000 (RepDistiller, which takes the last map
    alone, as here). Maps of any sizes; under several processes each compares its own images.
    """

    def forward(self, step: Step) -> Tensor:
        """Of the last maps (N, C, H, W), a scalar."""
        ours, theirs = (similarity(part.maps[-1]) for part in (step, step.taught))
        return (ours - theirs).square().mean()


def similarity(maps: Tensor) -> Tensor:
    """Inner products (N, N) of the images' maps, each row at length 1."""
    rows = maps.flatten(1)
    with torch.autocast(maps.device.type, enabled=False):  # Their sums overflow float16.
        rows = at_least_float32(rows)
        return F.normalize(rows @ rows.T)
