"""Hard label, ShuffleNetV1 on CIFAR-100: the twin of the IPS configs of this network.

Paper: Table 3, 71.26 % top-1.
Command: python tools/train.py configs/ips/shufflenet-v1_hard_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: nothing known. Stated: epochs, lr 0.01, its cuts, batch size.
Inferred: SGD momentum 0.9, weight decay 5e-4, crop with padding and flip, and the
network itself (0.949 M parameters).
"""
_base_ = [
    '../_base_/models/shufflenet-v1_cifar.py',
    '../_base_/datasets/cifar100_bs64.py',
    '../_base_/schedules/cifar100_240e.py',
    '../_base_/seeded_runtime.py',
]

model = dict(head=dict(num_classes=100))
optim_wrapper = dict(optimizer=dict(lr=0.01))
default_hooks = dict(checkpoint=dict(interval=10))
