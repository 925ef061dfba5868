"""MaxSup on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/maxsup/resnet18-s_maxsup_npz.py
Cost: 120 epochs x N images, 64 a step, in whole batches on the device.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.DistillClassifier',
    distill=dict(type='mmips.MaxSupLoss', start=0.1, end=0.2))
custom_hooks = [_base_.custom_hooks[0], dict(type='mmips.FastStepHook', cuda_graph=False)]
