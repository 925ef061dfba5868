"""MixUp alone, ResNet-50 on CIFAR-100: the baseline of resnet50_ips-mixup_cifar100.py.

Paper: Table 13, 80.00 % top-1 (hard label: 79.01 %).
Command: python tools/train.py configs/ips/resnet50_mixup_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: nothing known. Unknown: MixUp's alpha (1, its own paper's for
CIFAR).
All else as in resnet50_hard_cifar100.py.
"""
_base_ = 'resnet50_hard_cifar100.py'

model = dict(train_cfg=dict(augments=[dict(type='Mixup', alpha=1.0)]))
