# mmpretrain's ShuffleNetV2 with the stem of a 32x32 network: 1x1, stride 1, no max-pool.
_base_ = 'mmpretrain::_base_/models/shufflenet_v2_1x.py'

model = dict(backbone=dict(type='mmips.ShuffleNetV2_CIFAR'))
