"""CutOut alone, ResNet-50 on CIFAR-100: the baseline of resnet50_ips-cutout_cifar100.py.

Paper: Table 13, 79.53 % top-1 (hard label: 79.01 %).
Command: python tools/train.py configs/ips/resnet50_cutout_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: nothing known. Unknown: CutOut's length (8 pixels, its own paper's
for CIFAR-100).
All else as in resnet50_hard_cifar100.py.
"""
_base_ = 'resnet50_hard_cifar100.py'

model = dict(train_cfg=dict(augments=[dict(type='mmips.CutOut', length=8)]))
