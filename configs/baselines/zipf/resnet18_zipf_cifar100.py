"""Zipf's label smoothing, ResNet-18 on CIFAR-100.

Paper: none: it is not in the IPS paper's Table 3.
Command: python tools/train.py configs/baselines/zipf/resnet18_zipf_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Votes of 8 x 8 locations: the last map is enlarged to twice its size, as in the authors' code.
All else as in configs/ips/resnet18_hard_cifar100.py.
Another network: --cfg-options model.backbone.depth=34, or the lines below over another base,
such as configs/ips/vgg13bn_hard_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    alpha=0.1,
    distill=dict(type='mmips.ZipfLoss', upsample=2))
