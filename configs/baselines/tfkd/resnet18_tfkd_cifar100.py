"""TF-KD, the regularisation, ResNet-18 on CIFAR-100.

Paper: Table 3, 79.05 % top-1 (hard label: 77.92 %).
Command: python tools/train.py configs/baselines/tfkd/resnet18_tfkd_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: alpha 0.1 and T 20 are the authors' for ResNet-18; their m = 100,
averaged over images and 100 classes, is the 1 of the formula. The formula softens the teacher's
logits; the authors' code its probabilities (soften='probabilities'), as
resnet18_tfkd-authors_cifar100.py does.
All else as in configs/ips/resnet18_hard_cifar100.py.
ShuffleNetV2 of the authors: gamma=0.05, alpha=0.95, temperature=10, multiplier=1,
reduction='mean'.
Another network: --cfg-options model.backbone.depth=34, or the lines below over another base,
such as configs/ips/vgg13bn_hard_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    gamma=0.9,
    alpha=0.1,
    distill=dict(type='mmips.VirtualTeacherLoss', temperature=20))
