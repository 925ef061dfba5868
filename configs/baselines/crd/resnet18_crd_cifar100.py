"""Contrastive representation distillation (Tian et al., arXiv 1910.10699), ResNet-50 teaches
ResNet-18 on CIFAR-100.

The teacher is trained first, by ``configs/ips/resnet50_hard_cifar100.py``. It teaches ResNet-34
with ``--cfg-options model.backbone.depth=34`` (Paper: 80.02 %).

Paper: Table 4, 79.86 % top-1.
Command: python tools/train.py configs/baselines/crd/resnet18_crd_cifar100.py
Cost: 240 epochs x 50,000 images, 64 a step; each goes through the teacher too, without gradient,
and is compared with 16,384 others. Two N x 128 memories: 51 MB.
Differs from the paper: nothing known; the weight of 0.8 and the constant Z of the first batch are
RepDistiller's.
"""
_base_ = '../kd/resnet18_kd_cifar100.py'

model = dict(
    gamma=1.0,
    alpha=0.8,
    distill=dict(
        _delete_=True, type='mmips.ContrastiveDistillLoss', in_channels=512,
        teacher_channels=2048))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.MemoryHook')]
