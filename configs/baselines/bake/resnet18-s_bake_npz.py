"""BAKE on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/bake/resnet18-s_bake_npz.py
Cost: 30 epochs x 4N images, as many as 120 epochs of hard label; 16 groups of four a step. The lr
cuts at 62.5, 75 and 87.5 % of the run fall on whole epochs.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.DistillClassifier', distill=dict(type='mmips.BAKELoss', omega=0.5, temperature=4.))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmips.GroupedClassSampler', num_partners=3))
param_scheduler = dict(milestones=[19, 22, 26])
train_cfg = dict(max_epochs=30, val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10))
custom_hooks = [dict(type='mmips.EpochSeedHook'), dict(type='mmips.FastStepHook', cuda_graph=False)]
