"""BYOT, ResNet-18 on CIFAR-100: the deepest exit teaches three shallow ones.

Paper: none for this data; Zhang et al., ICCV 2019.
Command: python tools/train.py configs/baselines/byot/resnet18_byot_cifar100.py
Another network, for example ResNet-34: --cfg-options model.backbone.depth=34
Cost: 240 epochs x 50,000 images = 12 M images seen; 64 a step, 782 steps an epoch, each image
through three further exits.
Differs from the paper: the IPS paper's one recipe, and exits of bottleneck blocks, where the
authors' code has attention modules and separable convolutions.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(type='mmips.BeYourOwnTeacherClassifier', backbone=dict(out_indices=(0, 1, 2, 3)))
