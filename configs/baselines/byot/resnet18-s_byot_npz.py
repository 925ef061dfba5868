"""BYOT on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/byot/resnet18-s_byot_npz.py
Cost: 120 epochs x N images, 64 a step, each through three further exits.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(type='mmips.BeYourOwnTeacherClassifier', backbone=dict(out_indices=(0, 1, 2, 3)))
custom_hooks = [dict(type='mmips.EpochSeedHook'), dict(type='mmips.FastStepHook', cuda_graph=False)]
