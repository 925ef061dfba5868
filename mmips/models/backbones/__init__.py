# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Backbones for 32 x 32 images that mmpretrain lacks."""
from .shufflenet_v1_cifar import ShuffleNetV1_CIFAR
from .shufflenet_v2_cifar import ShuffleNetV2_CIFAR
from .vgg_cifar import VGG_CIFAR

__all__ = ['ShuffleNetV1_CIFAR', 'ShuffleNetV2_CIFAR', 'VGG_CIFAR']
