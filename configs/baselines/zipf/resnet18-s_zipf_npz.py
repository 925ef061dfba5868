"""Zipf's label smoothing on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/zipf/resnet18-s_zipf_npz.py
Cost: 120 epochs x N images, 64 a step, in whole batches on the device.
Votes of 4 x 4 locations: the last map, 2 x 2, is enlarged as for CIFAR-100.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.DistillClassifier',
    alpha=0.1,
    distill=dict(type='mmips.ZipfLoss', upsample=2))
custom_hooks = [_base_.custom_hooks[0], dict(type='mmips.FastStepHook', cuda_graph=False)]
