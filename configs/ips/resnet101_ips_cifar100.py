"""IPS, constant swap probability, ResNet-101 on CIFAR-100.

Paper: Table 15, 82.22 % top-1 (hard label: 79.29 %).
Command: python tools/train.py configs/ips/resnet101_ips_cifar100.py
Cost: 240 epochs x 100,000 images (2N: every image is a query once, with a partner)
= 24 M images seen, twice the twin's; 782 steps an epoch, as many as the twin's.
Differs from the paper: nothing known. Inferred: 64 pairs, i.e. 128 images, a step;
4x4 is the number of cells; prob 0.5; temperature 4 and the T^2 factor.
The paper tried a second setting of alpha and gamma
that it found better for this network; the two values are unknown, so both are 1.
"""
_base_ = 'resnet101_hard_cifar100.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(
    batch_size=128, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=128)
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
