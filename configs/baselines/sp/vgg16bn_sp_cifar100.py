"""SP, ResNet-101 teaches VGG16-BN on CIFAR-100, as ``resnet18_sp_cifar100.py`` otherwise.

The teacher is trained first, by ``configs/ips/resnet101_hard_cifar100.py``.

Paper: Table 4, 77.14 % top-1.
Command: python tools/train.py configs/baselines/sp/vgg16bn_sp_cifar100.py
Cost: 240 epochs x 50,000 images, 64 a step; each goes through the teacher too, without gradient.
"""
_base_ = 'resnet18_sp_cifar100.py'

model = dict(
    backbone=dict(_delete_=True, type='mmips.VGG_CIFAR', depth=16),
    teacher=dict(
        config='mmips::ips/resnet101_hard_cifar100.py',
        checkpoint='work_dirs/resnet101_hard_cifar100/epoch_240.pth'))
