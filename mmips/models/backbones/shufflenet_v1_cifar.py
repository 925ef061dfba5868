# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

from mmcv.cnn import ConvModule
from mmpretrain.models import ShuffleNetV1
from torch import nn

from mmips.registry import MODELS


@MODELS.register_module()
class ShuffleNetV1_CIFAR(ShuffleNetV1):
    """ShuffleNetV1 with a 1 x 1 stem of stride 1 and no max-pool.

    A (N, 3, 32, 32) batch leaves the last stage as (N, 960, 4, 4) with three groups. The units
    that halve the size have the narrower bottleneck of the network that the knowledge
    distillation literature trains on CIFAR-100: a quarter of the channels they add, rather than
    of those they put out. With 100 classes that makes 0.949 M parameters.

    Source: X. Zhang et al., ShuffleNet, CVPR 2018, arXiv 1707.01083.

    Args:
        groups: Groups of the 1 x 1 convolutions: 1, 2, 3, 4 or 8. Defaults to 3.
        widen_factor: Width multiplier. Defaults to 1.0.
        **kwargs: Other arguments of mmpretrain's ``ShuffleNetV1``: ``out_indices``,
            ``frozen_stages``, ``norm_cfg``, ``norm_eval``, ``init_cfg``, ...
    """

    def __init__(self, groups: int = 3, widen_factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(groups=groups, widen_factor=widen_factor, **kwargs)
        # 24 channels at width 1.
        self.conv1 = ConvModule(3, int(24 * widen_factor), 1, conv_cfg=self.conv_cfg,
                                norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.maxpool = nn.Identity()

    def make_layer(self, out_channels: int, num_blocks: int,
                   first_block: bool = False) -> nn.Sequential:
        """A stage of mmpretrain's with the first unit's bottleneck narrowed, see the class."""
        layer = super().make_layer(out_channels, num_blocks, first_block)
        unit = layer[0]
        # `unit.out_channels` is what the unit adds to the channels it passes on.
        width = unit.out_channels // 4
        width -= width % self.groups
        cfgs = dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg)
        unit.bottleneck_channels = width
        unit.g_conv_1x1_compress = ConvModule(
            unit.in_channels, width, 1, groups=unit.first_1x1_groups, act_cfg=self.act_cfg, **cfgs)
        unit.depthwise_conv3x3_bn = ConvModule(
            width, width, 3, stride=2, padding=1, groups=width, act_cfg=None, **cfgs)
        unit.g_conv_1x1_expand = ConvModule(
            width, unit.out_channels, 1, groups=self.groups, act_cfg=None, **cfgs)
        return layer
