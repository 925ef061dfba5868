"""CS-KD on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/cs-kd/resnet18-s_cs-kd_npz.py
Cost: 60 epochs x 2N images, as many as 120 epochs of hard label, 64 (32 pairs) a step.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.PairKLLoss', temperature=4., detach='partner', symmetric=False),
    joint_forward=False,
    partner_grad=False,
    ce_on='query')
train_dataloader = dict(sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
param_scheduler = dict(milestones=[38, 45, 53])
train_cfg = dict(max_epochs=60, val_interval=15)
default_hooks = dict(checkpoint=dict(interval=15))
