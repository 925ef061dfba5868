"""IPS at the cost of ConvNeXt-T on ImageNet.

Paper: none of IPS; the recipe is ConvNeXt's (arXiv 2201.03545), as mmpretrain has it.
Command: GPUS=32 tools/slurm_train.sh PARTITION JOB configs/ips/convnext-tiny_ips-eqcost_in1k.py
On fewer GPUs: tools/dist_train.sh configs/ips/convnext-tiny_ips-eqcost_in1k.py 8 --auto-scale-lr
Cost: 300 epochs x 1,281,167 images = 384 M, as its twin; 32 GPUs x 128 images = 4,096 a step.
Twin: mmpretrain's own config (82.14 % top-1 by mmpretrain, of the averaged weights, as here),
for our tools mmpretrain::convnext/convnext-tiny_32xb128_in1k.py in the same commands.
"""
_base_ = 'mmpretrain::convnext/convnext-tiny_32xb128_in1k.py'

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
