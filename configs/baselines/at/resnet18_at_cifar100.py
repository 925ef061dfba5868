"""Attention transfer (Zagoruyko and Komodakis, arXiv 1612.03928), ResNet-50 teaches
ResNet-18 on CIFAR-100.

The teacher is trained first, by ``configs/ips/resnet50_hard_cifar100.py``. It teaches ResNet-34
with ``--cfg-options model.backbone.depth=34`` (Paper: 79.25 %).

Paper: Table 4, 78.30 % top-1.
Command: python tools/train.py configs/baselines/at/resnet18_at_cifar100.py
Cost: 240 epochs x 50,000 images, 64 a step; each goes through the teacher too, without gradient.
Differs from the paper: nothing known; the weight of 1000 is RepDistiller's.
"""
_base_ = '../kd/resnet18_kd_cifar100.py'

model = dict(
    backbone=dict(out_indices=(0, 1, 2, 3)),
    gamma=1.0,
    alpha=1000.0,
    distill=dict(_delete_=True, type='mmips.AttentionTransferLoss'),
    teacher=dict(model=dict(backbone=dict(out_indices=(0, 1, 2, 3)))))
