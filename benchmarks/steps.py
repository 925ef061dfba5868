# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Whole training steps: preprocessor, forward, backward, optimiser."""
from collections.abc import Callable
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

from benchmarks.timing import Options

__all__ = ['NETWORKS', 'make_batch', 'make_model', 'make_step']

# Image size: name, backbone, features, classes, grid, images a step (CPU).
NETWORKS = {
    32: ('ResNet-18', dict(type='ResNet_CIFAR', depth=18), 512, 100, 4, 128),
    224: ('ResNet-50', dict(type='ResNet', depth=50), 2048, 1000, 2, 8),
}
_NORMALIZE = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)


def make_model(size: int, kind: str, options: Options) -> torch.nn.Module:
    """A classifier for images of ``size`` pixels.

    Args:
        size (int): 32 (ResNet-18, CIFAR form) or 224 (ResNet-50).
        kind (str): 'plain' (mmpretrain's ``ImageClassifier``) or 'ips' (our classifier with
            the patch swap). Both start from the same weights.
        options (Options): Where the model goes.
    """
    _, backbone, features, classes, grid, _ = NETWORKS[size]
    config = dict(
        type='ImageClassifier',
        backbone=backbone,
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=classes, in_channels=features,
                  loss=dict(type='CrossEntropyLoss')),
        data_preprocessor=dict(num_classes=classes, **_NORMALIZE))
    if kind == 'ips':
        config.update(
            type='mmips.SelfDistillClassifier',
            train_cfg=dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=grid)]))
    torch.manual_seed(0)
    return MODELS.build(config).to(options.device).train()


def make_batch(pixels: int, images: int, classes: int) -> dict:
    """Random uint8 images in pairs of one label, as a data loader hands them out."""
    generator = torch.Generator().manual_seed(0)
    shape = (images, 3, pixels, pixels)
    inputs = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.randint(classes, (images // 2,), generator=generator).repeat_interleave(2)
    samples = [DataSample().set_gt_label(label) for label in labels.tolist()]
    return dict(inputs=list(inputs), data_samples=samples)


def make_step(size: int,
              kind: str,
              options: Options,
              bare: bool = False) -> tuple[Callable[[], object], int]:
    """A function that takes one training step, and the number of images in it.

    ``bare`` leaves the backbone out, so that what remains can be timed exactly.
    """
    pixels, images = size, NETWORKS[size][-1] if options.device == 'cpu' else 128
    if options.tiny:
        pixels, images = 32, 2
    model: Any = make_model(size, kind, options)
    if bare:
        model.backbone = MeanColour(NETWORKS[size][2])
    batch = make_batch(pixels, images, NETWORKS[size][3])
    # A tiny rate: the weights of both models stay put and their steps comparable.
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)
    wrapper = OptimWrapper(optimizer)
    return (lambda: model.train_step(batch, wrapper)), images


class MeanColour(torch.nn.Module):
    """Stands in for a backbone at next to no cost."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        """Mean of the first channel as every feature, (N, features, 1, 1)."""
        return (x[:, :1].mean((2, 3), keepdim=True).repeat(1, self.features, 1, 1), )
