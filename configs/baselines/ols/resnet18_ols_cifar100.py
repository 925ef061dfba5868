"""OLS, online label smoothing, ResNet-18 on CIFAR-100.

Paper: Table 3, 78.95 % top-1 (hard label: 77.92 %).
Command: python tools/train.py configs/baselines/ols/resnet18_ols_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: nothing known. The labels' weight 0.5 and what a class starts with are
the authors'.
All else as in configs/ips/resnet18_hard_cifar100.py.
Another network: --cfg-options model.backbone.depth=34, or the lines below over another base,
such as configs/ips/vgg13bn_hard_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    target=dict(type='mmips.OnlineLabelSmoothing', hard_weight=0.5))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.MemoryHook')]
