"""R-Drop on small images from any ``.npz`` file: two views of one image, and no swap.

Paper: none.
Command: python tools/train.py configs/baselines/r-drop/resnet18-s_r-drop_npz.py
Cost: 60 epochs x 2N images, as many as 120 epochs of hard label, 32 images twice a step.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.PairKLLoss', temperature=1.))
train_dataloader = dict(
    sampler=dict(type='mmips.PairedClassSampler', partner='self', epoch='queries'))
param_scheduler = dict(milestones=[38, 45, 53])
train_cfg = dict(max_epochs=60, val_interval=15)
default_hooks = dict(checkpoint=dict(interval=15))
