"""MaxSup, ResNet-18 on CIFAR-100.

Paper: none: MaxSup is not in the IPS paper.
Command: python tools/train.py configs/baselines/maxsup/resnet18_maxsup_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
lambda rises from 0.1 to 0.2 over the epochs, as in its authors' training on ImageNet.
All else as in configs/ips/resnet18_hard_cifar100.py.
Another network: --cfg-options model.backbone.depth=34, or the lines below over another base,
such as configs/ips/vgg13bn_hard_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    distill=dict(type='mmips.MaxSupLoss', start=0.1, end=0.2))
