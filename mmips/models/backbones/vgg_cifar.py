# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

from mmpretrain.models import VGG
from torch import nn

from mmips.registry import MODELS


@MODELS.register_module()
class VGG_CIFAR(VGG):
    """VGG with batch normalisation that pools after its first three stages only.

    A (N, 3, 32, 32) batch leaves the last stage as (N, 512, 4, 4), for
    ``GlobalAveragePooling`` and one linear layer instead of VGG's three: 9.46 M (depth 13) and
    14.77 M (depth 16) parameters with 100 classes, the networks of the knowledge distillation
    literature on CIFAR-100. Names in the state dict are those of mmpretrain's ``VGG``.

    Source: K. Simonyan and A. Zisserman, Very Deep Convolutional Networks for Large-Scale Image
    Recognition, arXiv 1409.1556.

    Args:
        depth: 11, 13, 16 or 19.
        norm_cfg: Normalisation after each convolution. Defaults to None, which means
            ``dict(type='BN')``.
        **kwargs: Other arguments of mmpretrain's ``VGG``: ``out_indices``, ``frozen_stages``,
            ``norm_eval``, ``init_cfg``, ... ``num_classes`` is not among them.

    Raises:
        ValueError: With ``num_classes``.
    """

    def __init__(self, depth: int, norm_cfg: dict | None = None, **kwargs: Any) -> None:
        if kwargs.get('num_classes', -1) > 0:
            raise ValueError(f'VGG_CIFAR has no classifier of its own, got num_classes='
                             f"{kwargs['num_classes']}. Set num_classes in the head.")
        super().__init__(depth, norm_cfg=norm_cfg or dict(type='BN'), **kwargs)
        for start, end in self.range_sub_modules[3:]:
            for index in range(start, end):
                if isinstance(self.features[index], nn.MaxPool2d):
                    # A placeholder, so that the layers behind keep their numbers.
                    self.features[index] = nn.Identity()
