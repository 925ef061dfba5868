"""IPS with CutMix, ResNet-50 on CIFAR-100.

Paper: Table 13, 83.15 % top-1 at p_r = 0.1, its best (CutMix alone: 81.00 %). The whole row, for
p_r = 0 (no swap), 0.1, 0.3, 0.5, 0.7, 1: 82.89, 83.15, 82.88, 82.96, 82.46, 81.57.
Command: python tools/train.py configs/ips/resnet50_ips-cutmix_cifar100.py
Another p_r: --cfg-options model.train_cfg.augments.0.augments.1.prob=0.7
Cost: 240 epochs x 100,000 images (2N) = 24 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: nothing known. Inferred: which column is which p_r. Unknown:
CutMix's alpha (1, its own paper's), and whether it comes before the swap, as here, or after
it, which is a config of your own:
    _base_ = 'mmips::ips/resnet50_ips-cutmix_cifar100.py'
    model = dict(train_cfg=dict(augments=[dict(
        type='mmips.SequentialBatchAugment', augments=[_base_.swap, _base_.mix])]))
All else as in resnet50_ips_cifar100.py.
"""
_base_ = 'resnet50_ips_cifar100.py'

# Pairs are mixed with pairs: one partner pair, one box or weight for both members.
mix = dict(type='mmips.PairwiseBatchAugment', augment=dict(type='CutMix', alpha=1.0))
swap = dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.1)
model = dict(
    train_cfg=dict(augments=[
        dict(type='mmips.SequentialBatchAugment', augments=[mix, swap])]))
