"""Hard label, VGG13-BN on CIFAR-100: the twin of the IPS configs of this network.

Paper: Table 3, 74.62 % top-1.
Command: python tools/train.py configs/ips/vgg13bn_hard_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: nothing known. Stated: epochs, lr 0.05, its cuts, batch size.
Inferred: SGD momentum 0.9, weight decay 5e-4, crop with padding and flip, and the
network itself (9.46 M parameters).
"""
_base_ = [
    '../_base_/models/vgg13bn_cifar.py',
    '../_base_/datasets/cifar100_bs64.py',
    '../_base_/schedules/cifar100_240e.py',
    '../_base_/seeded_runtime.py',
]

model = dict(head=dict(num_classes=100))
default_hooks = dict(checkpoint=dict(interval=10))
