# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmips.functional.precision import at_least_float32
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class RelationalKDLoss(nn.Module):
    r"""Relational knowledge distillation: distances and angles between the images of a batch.

    Of the last features :math:`f` (N, D) the distances :math:`\|f_i - f_j\|` are divided by their
    mean over all pairs of different images, and the angle of a triple is the cosine at its vertex
    i, :math:`\cos\angle f_j f_i f_k`. Those of the student and, as constants, of the teacher are
    compared by Huber's loss (delta 1) and averaged over all N^2 pairs and N^3 triples (Park et al.,
    Relational Knowledge Distillation, arXiv 1904.05068, Eq. 4 to 9; the averages, which count
    the zeros of i = j, are those of the authors' code and of RepDistiller). Each process compares
    its own images. Memory grows with N^2 D and N^3.

    Args:
        distance (float): Weight of the distances. Default: 25.
        angle (float): Weight of the angles. Default: 50.

    Raises:
        ValueError: For negative weights.
    """

    def __init__(self, distance: float = 25.0, angle: float = 50.0) -> None:
        super().__init__()
        if distance < 0 or angle < 0:
            raise ValueError('distance and angle weigh losses and cannot be negative, but got '
                             f'distance={distance}, angle={angle}.')
        self.distance, self.angle = distance, angle

    def forward(self, step: Step) -> Tensor:
        """Of the last features, pooled by the neck, a scalar."""
        ours = relations(step.features[-1])
        with torch.no_grad():
            theirs = relations(step.taught.features[-1])
        distance, angle = (F.huber_loss(*pair) for pair in zip(ours, theirs))
        return self.distance * distance + self.angle * angle


def relations(features: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (N, N), of mean 1 between different images, and cosines (N, N, N) of all angles."""
    features = features.flatten(1)
    number = len(features)
    with torch.autocast(features.device.type, enabled=False):
        features = at_least_float32(features)
        # Between i and j; neither the norm nor the cosine has a gradient where they are one.
        edges = features[None] - features[:, None]
        lengths = torch.linalg.vector_norm(edges, dim=2)
        mean = lengths.sum() / max(1, number * (number - 1))
        directions = F.normalize(edges, dim=2)
        return lengths / mean.clamp(min=1e-12), directions @ directions.transpose(1, 2)
