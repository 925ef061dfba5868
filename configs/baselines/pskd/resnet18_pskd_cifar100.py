"""PS-KD, ResNet-18 on CIFAR-100.

Paper: none: PS-KD is not in the IPS paper, and its own ResNet-18 is a pre-activation one.
Command: python tools/train.py configs/baselines/pskd/resnet18_pskd_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU; 20 MB
remembered.
All else as in configs/ips/resnet18_hard_cifar100.py.
Another network: --cfg-options model.backbone.depth=34, or the lines below over another base,
such as configs/ips/vgg13bn_hard_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    target=dict(type='mmips.ProgressiveTarget', alpha=0.8))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.MemoryHook')]
