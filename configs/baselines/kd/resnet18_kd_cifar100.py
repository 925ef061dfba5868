"""KD (Hinton et al., arXiv 1503.02531), ResNet-50 teaches ResNet-18 on CIFAR-100.

The teacher is trained first, by ``configs/ips/resnet50_hard_cifar100.py``. It teaches ResNet-34
with ``--cfg-options model.backbone.depth=34`` (Paper: 79.99 %).

Paper: Table 4, 79.64 % top-1.
Command: python tools/train.py configs/baselines/kd/resnet18_kd_cifar100.py
Cost: 240 epochs x 50,000 images, 64 a step; each goes through the teacher too, without gradient.
Differs from the paper: nothing known. Weights of 0.1 and 0.9 and T = 4 are RepDistiller's and
mdistiller's; the paper says "the same hyperparameter settings as those specified in their papers".
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.TeacherDistillClassifier',
    gamma=0.1,
    alpha=0.9,
    distill=dict(type='mmips.KDLoss', temperature=4),
    teacher=dict(
        config='mmips::ips/resnet50_hard_cifar100.py',
        checkpoint='work_dirs/resnet50_hard_cifar100/epoch_240.pth'))
