"""IPS on small images from any ``.npz`` file, to stand beside the other methods.

Paper: none.
Command: python tools/train.py configs/baselines/ips/resnet18-s_ips_npz.py
Cost: 60 epochs x 2N images, as many as 120 epochs of hard label, 64 (32 pairs) a step.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
param_scheduler = dict(milestones=[38, 45, 53])
train_cfg = dict(max_epochs=60, val_interval=15)
default_hooks = dict(checkpoint=dict(interval=15))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.SelfDistillMonitor')]
