"""The swap as plain augmentation ("+Swap"), ResNet-50 on CIFAR-100.

Paper: Table 10, 78.8 % top-1 (hard label in the same table: 78.7 %, IPS: 81.9 %).
Command: python tools/train.py configs/ips/resnet50_swap-only_cifar100.py
Cost: 240 epochs x 100,000 images (2N: every image is a query once, with a partner)
= 24 M images seen, of which the loss covers half; 782 steps an epoch.
Differs from the paper: nothing known. Stated: cross entropy on the first of the two swapped
images alone, no distillation. Inferred: the second goes through the network all the same
and takes part in its batch norm; 4x4 is the number of cells; prob 0.5.
All else as in resnet50_ips_cifar100.py.
"""
_base_ = 'resnet50_ips_cifar100.py'

model = dict(alpha=0.0, ce_on='query')
