"""USKD, ResNet-18 on CIFAR-100.

Paper: none: USKD is not in the IPS paper.
Command: python tools/train.py configs/baselines/uskd/resnet18_uskd_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
alpha, beta and mu are 0.1 each, as in its authors' config of this network.
All else as in configs/ips/resnet18_hard_cifar100.py.
Another network: --cfg-options model.backbone.depth=34, or the lines below over another base,
such as configs/ips/vgg13bn_hard_cifar100.py, with out_indices=(3, 4) and in_channels=512 for a VGG:
those of its last stage but one.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    backbone=dict(out_indices=(2, 3)),
    distill=dict(
        type='mmips.USKDLoss', in_channels=256, num_classes=100, alpha=0.1,
        beta=0.1, mu=0.1))
