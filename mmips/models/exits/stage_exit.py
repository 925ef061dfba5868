# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from mmengine.model import BaseModule, ModuleList, constant_init
from mmpretrain.models import ResNet
from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck, ResLayer
from torch import Tensor, nn


class StageExit(BaseModule):
    """A branch from one stage of a ResNet to a map of the last one's shape, and a classifier.

    Args:
        layers (Iterable[nn.Module]): What stands in the place of the stages that are left, of
            which the last one's last block knows its ``out_channels``.
        num_classes (int): Of the classifier.
        zero_init_residual (bool): Whether the last norm of every residual block starts at zero.
            Default: False.
    """

    def __init__(self, layers: Iterable[nn.Module], num_classes: int,
                 zero_init_residual: bool = False) -> None:
        super().__init__([dict(type='Kaiming', layer=['Conv2d']),
                          dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm'])])
        self.layers = nn.Sequential(*layers).requires_grad_()
        self.fc = nn.Linear(width_of(self.layers[-1]), num_classes)
        self.zero_init_residual = zero_init_residual

    def init_weights(self) -> None:
        """As ``ResNet``'s own blocks start."""
        super().init_weights()
        for block in self.modules():
            if self.zero_init_residual and isinstance(block, (BasicBlock, Bottleneck)):
                constant_init(block.norm3 if isinstance(block, Bottleneck) else block.norm2, 0)

    def forward(self, stage_map: Tensor) -> tuple[Tensor, Tensor]:
        """The final map (N, D, h, w), and logits (N, K) of its mean."""
        final = self.layers(stage_map)
        return final, self.fc(final.mean((2, 3)))

    @classmethod
    def copies(cls, backbone: ResNet, num_classes: int) -> ModuleList:
        """An exit after each stage but the last: the later stages' layers once more."""
        stages = four_stages(backbone)
        return ModuleList([cls(map(deepcopy, stages[after:]), num_classes,
                               backbone.zero_init_residual) for after in (1, 2, 3)])

    @classmethod
    def bottlenecks(cls, backbone: ResNet, num_classes: int) -> ModuleList:
        """An exit after each stage but the last: one bottleneck block for each later stage."""
        widths = list(map(width_of, four_stages(backbone)))
        return ModuleList([cls([ResLayer(
            Bottleneck, 1, widths[stage - 1], widths[stage], expansion=4,
            stride=backbone.strides[stage]) for stage in range(after, 4)], num_classes)
            for after in (1, 2, 3)])


def width_of(stage: Any) -> int:
    """Channels of the map that a stage gives."""
    return stage[-1].out_channels


def four_stages(backbone: nn.Module) -> list[nn.Module]:
    """The four stages of a ResNet that gives a map of each; a ``ValueError`` for others."""
    found = tuple(getattr(backbone, 'out_indices', ()))
    if not isinstance(backbone, ResNet) or found != (0, 1, 2, 3):
        raise ValueError(
            'Exits branch off after each of the four stages of a ResNet, but the backbone is '
            f'{type(backbone).__name__} with out_indices={found}. Use ResNet, ResNet_CIFAR or one '
            'of their kind, model.backbone.num_stages=4 and out_indices=(0, 1, 2, 3).')
    return [getattr(backbone, name) for name in backbone.res_layers]
