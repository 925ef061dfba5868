"""TF-KD, the regularisation, on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/tfkd/resnet18-s_tfkd_npz.py
Cost: 120 epochs x N images, 64 a step, in whole batches on the device.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.DistillClassifier',
    gamma=0.9,
    alpha=0.1,
    distill=dict(type='mmips.VirtualTeacherLoss', temperature=20))
custom_hooks = [_base_.custom_hooks[0], dict(type='mmips.FastStepHook', cuda_graph=False)]
