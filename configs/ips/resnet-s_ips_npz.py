"""IPS on small images from any ``.npz`` file, at its twin's number of images seen.

File and subset as in ``resnet-s_hard_npz.py``.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet-s_ips_npz.py
Cost: 60 epochs x 2N images, as many as 120 epochs of hard label.
Differs from the paper's CIFAR-100: a small network and a short schedule; 64 images
(32 pairs) a step instead of 128, so that the steps are as many as the twin's too.
The lr cuts at 62.5, 75 and 87.5 % of the run fall on whole epochs (38, 45, 53).
"""
_base_ = 'resnet-s_hard_npz.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(
    sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
param_scheduler = dict(milestones=[38, 45, 53])
train_cfg = dict(max_epochs=60, val_interval=15)
default_hooks = dict(checkpoint=dict(interval=15))
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
