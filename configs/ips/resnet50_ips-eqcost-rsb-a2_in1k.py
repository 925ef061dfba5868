"""IPS at the cost of "ResNet strikes back" A2, ResNet-50 on ImageNet.

Paper: none of IPS; the recipe is A2 of arXiv 2110.00476, as mmpretrain has it.
Command: tools/dist_train.sh configs/ips/resnet50_ips-eqcost-rsb-a2_in1k.py 8
Cost: 300 epochs x 1,281,167 images = 384 M, as its twin; 8 GPUs x 256 images = 2,048 a step.
Twin: mmpretrain's own config (79.55 % top-1 by mmpretrain), for our tools:
    tools/dist_train.sh mmpretrain::resnet/resnet50_8xb256-rsb-a2-300e_in1k.py 8
Repeated augmentation and the sigmoid: as in resnet50_ips-eqcost-rsb-a1_in1k.py.
"""
_base_ = 'mmpretrain::resnet/resnet50_8xb256-rsb-a2-300e_in1k.py'

mixup = dict(type='mmips.PairwiseBatchAugment', augment=dict(type='Mixup', alpha=0.1))
swap = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)
cutmix = dict(type='mmips.PairwiseBatchAugment', augment=dict(type='CutMix', alpha=1.0))
model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.PairKLLoss', activation='sigmoid'),
    train_cfg=dict(augments=[
        dict(type='mmips.SequentialBatchAugment', augments=[mixup, swap]),
        dict(type='mmips.SequentialBatchAugment', augments=[cutmix, swap])]))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmips.PairedClassSampler', epoch='images'))
