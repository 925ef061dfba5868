"""DRG and DSR (LightSKD), ResNet-18 on CIFAR-100: a shallow exit and the last batch teach.

Paper: none for this recipe; Xu et al., arXiv 2305.09183.
Command: python tools/train.py configs/baselines/drg-dsr/resnet18_drg-dsr_cifar100.py
ResNet-34: --cfg-options model.backbone.depth=34; ResNet-50: model.backbone.depth=50
model.head.in_channels=2048 model.distill.in_channels=512
Cost: 240 epochs x 50,000 images = 12 M images seen; 64 a step, 782 steps an epoch, each through a
small exit. Remembers 64 x 100 logits.
Differs from the paper: the IPS paper's one recipe, in which it has no LightSKD, and a smaller exit.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    backbone=dict(out_indices=(0, 1, 2, 3)),
    distill=dict(type='mmips.LightSKDLoss', in_channels=128, num_classes=100))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.MemoryHook')]
