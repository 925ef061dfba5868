"""DRG and DSR (LightSKD) on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/drg-dsr/resnet18-s_drg-dsr_npz.py
Cost: 120 epochs x N images, 64 a step, each through a small exit.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.DistillClassifier',
    backbone=dict(out_indices=(0, 1, 2, 3)),
    distill=dict(type='mmips.LightSKDLoss', in_channels=32, num_classes=_base_.num_classes))
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.MemoryHook'),
    dict(type='mmips.FastStepHook', cuda_graph=False),
]
