"""MixSKD, ResNet-18 on CIFAR-100: exits agree on mixes and on mixes of what they say.

Paper: none for this recipe; Yang et al., ECCV 2022.
Command: python tools/train.py configs/baselines/mixskd/resnet18_mixskd_cifar100.py
Another network, for example ResNet-34: --cfg-options model.backbone.depth=34
Cost: 240 epochs x 50,000 images and as many mixes = 24 M images seen; 64 + 64 a step, 782 steps an
epoch. 42.6 M parameters in training, 1,361 M multiply-adds an image, 2.45 times the plain
network's: 4.9 times the cost of hard label.
Differs from the paper: the IPS paper's one recipe, in which it has no MixSKD, but for the authors'
5 epochs of linear warm-up, without which the sum of ten cross entropies may not learn at all.
Tested is the backbone, not the best of four exits.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.MixSelfDistillClassifier', backbone=dict(out_indices=(0, 1, 2, 3)), mix_alpha=0.4)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1),
]
