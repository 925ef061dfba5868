"""DisturbLabel, ResNet-18 on CIFAR-100.

Paper: Table 3, 78.25 % top-1 (hard label: 77.92 %).
Command: python tools/train.py configs/baselines/disturb/resnet18_disturb_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: nothing known. Unknown: alpha (0.1, its own paper's).
All else as in configs/ips/resnet18_hard_cifar100.py.
Another network: --cfg-options model.backbone.depth=34, or the lines below over another base, such
as configs/ips/vgg13bn_hard_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(train_cfg=dict(augments=[dict(type='mmips.DisturbLabel', alpha=0.1)]))
