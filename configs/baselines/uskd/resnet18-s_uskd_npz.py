"""USKD on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/uskd/resnet18-s_uskd_npz.py
Cost: 120 epochs x N images, 64 a step, in whole batches on the device.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.DistillClassifier',
    backbone=dict(out_indices=(2, 3)),
    distill=dict(
        type='mmips.USKDLoss', in_channels=64, num_classes=_base_.num_classes, alpha=0.1,
        beta=0.1, mu=0.1))
custom_hooks = [_base_.custom_hooks[0], dict(type='mmips.FastStepHook', cuda_graph=False)]
