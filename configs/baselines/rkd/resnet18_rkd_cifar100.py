"""Relational knowledge distillation (Park et al., arXiv 1904.05068), ResNet-50 teaches
ResNet-18 on CIFAR-100.

The teacher is trained first, by ``configs/ips/resnet50_hard_cifar100.py``. It teaches ResNet-34
with ``--cfg-options model.backbone.depth=34`` (Paper: 79.62 %).

Paper: Table 4, 79.00 % top-1.
Command: python tools/train.py configs/baselines/rkd/resnet18_rkd_cifar100.py
Cost: 240 epochs x 50,000 images, 64 a step; each goes through the teacher too, without gradient.
Differs from the paper: nothing known; the weights of 25 and 50 are RepDistiller's.
"""
_base_ = '../kd/resnet18_kd_cifar100.py'

model = dict(
    gamma=1.0,
    alpha=1.0,
    distill=dict(_delete_=True, type='mmips.RelationalKDLoss'))
