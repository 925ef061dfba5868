"""R-Drop, ResNet-18 on CIFAR-100: two views of one image, and no swap. IPS's control.

Paper: none for this network; Wu et al., NeurIPS 2021. Half of their loss (arXiv 2106.14448)
with alpha 2: theirs adds up the two cross entropies, and halves the two divergences. The code for
their ViT has alpha 0.3, does not halve, and adds up the divergences over the batch.
Command: python tools/train.py configs/baselines/r-drop/resnet18_r-drop_cifar100.py
Cost: 240 epochs x 100,000 images = 24 M images seen; 64 images twice a step, 782 steps an epoch.
Differs from the paper: a ResNet has no dropout, so its two passes differ by crop and flip. In a ViT
with dropout, model.backbone.drop_rate=0.1, they differ anyway; for one view of each image take
RandomCrop and RandomFlip out of the pipeline.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.PairKLLoss', temperature=1.))
train_dataloader = dict(
    batch_size=128,
    sampler=dict(type='mmips.PairedClassSampler', partner='self', epoch='queries'))
auto_scale_lr = dict(base_batch_size=128)
