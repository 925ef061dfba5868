"""DDGSD on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/ddgsd/resnet18-s_ddgsd_npz.py
Cost: 60 epochs x 2N images, as many as 120 epochs of hard label, 32 images twice a step.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.SelfDistillClassifier', distill=dict(type='mmips.DDGSDLoss'), gamma=2.)
train_dataloader = dict(
    sampler=dict(type='mmips.PairedClassSampler', partner='self', epoch='queries'))
param_scheduler = dict(milestones=[38, 45, 53])
train_cfg = dict(max_epochs=60, val_interval=15)
default_hooks = dict(checkpoint=dict(interval=15))
custom_hooks = [dict(type='mmips.EpochSeedHook'), dict(type='mmips.FastStepHook', cuda_graph=False)]
