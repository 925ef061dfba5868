# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

from mmcv.cnn import ConvModule
from mmpretrain.models import ShuffleNetV2
from torch import nn

from mmips.registry import MODELS


@MODELS.register_module()
class ShuffleNetV2_CIFAR(ShuffleNetV2):
    """ShuffleNetV2 with a 1 x 1 stem of stride 1 and no max-pool.

    A (N, 3, 32, 32) batch leaves the last layer as (N, 1024, 4, 4) at width 1: 1.356 M
    parameters with 100 classes, the network of the knowledge distillation literature on
    CIFAR-100.

    Source: N. Ma et al., ShuffleNet V2, ECCV 2018, arXiv 1807.11164.

    Args:
        widen_factor: Width multiplier: 0.5, 1.0, 1.5 or 2.0. Defaults to 1.0.
        **kwargs: Other arguments of mmpretrain's ``ShuffleNetV2``: ``out_indices``,
            ``frozen_stages``, ``norm_cfg``, ``norm_eval``, ``init_cfg``, ...
    """

    def __init__(self, widen_factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(widen_factor=widen_factor, **kwargs)
        # So many channels at every width.
        self.conv1 = ConvModule(3, 24, 1, conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg,
                                act_cfg=self.act_cfg)
        self.maxpool = nn.Identity()
