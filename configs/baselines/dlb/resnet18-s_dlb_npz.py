"""DLB on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/dlb/resnet18-s_dlb_npz.py
Cost: 60 epochs x 2N images, as many as 120 epochs of hard label; 32 new images and the 32 of the
step before a step.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.LastBatchLoss', temperature=3.),
    joint_forward=False,
    allow_mismatch=True)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmips.OverlappingBatchSampler', batch_size=64))
param_scheduler = dict(milestones=[38, 45, 53])
train_cfg = dict(max_epochs=60, val_interval=15)
default_hooks = dict(checkpoint=dict(interval=15))
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.MemoryHook'),
    dict(type='mmips.FastStepHook', cuda_graph=False),
]
