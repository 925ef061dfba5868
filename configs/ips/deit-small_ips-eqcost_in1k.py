"""IPS at the cost of DeiT-S, which is ViT-S/16, on ImageNet.

Paper: none of IPS; the recipe is DeiT's (arXiv 2012.12877), as mmpretrain has it.
Command: tools/dist_train.sh configs/ips/deit-small_ips-eqcost_in1k.py 4
Cost: 300 epochs x 1,281,167 images = 384 M, as its twin; 4 GPUs x 256 images = 1,024 a step.
Twin: mmpretrain's own config (80.69 % top-1 by mmpretrain), for our tools:
    tools/dist_train.sh mmpretrain::deit/deit-small_4xb256_in1k.py 4
mmpretrain's other ViT-S, deit3-small-p16_64xb64_in1k, is there for its weights, not for training
(lr 1e-5); docs/equal_cost.md says how to convert it all the same.
"""
_base_ = 'mmpretrain::deit/deit-small_4xb256_in1k.py'

mixup = dict(type='mmips.PairwiseBatchAugment', augment=dict(type='Mixup', alpha=0.8))
swap = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)
cutmix = dict(type='mmips.PairwiseBatchAugment', augment=dict(type='CutMix', alpha=1.0))
model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.SequentialBatchAugment', augments=[mixup, swap]),
        dict(type='mmips.SequentialBatchAugment', augments=[cutmix, swap])]))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmips.PairedClassSampler', epoch='images'))
