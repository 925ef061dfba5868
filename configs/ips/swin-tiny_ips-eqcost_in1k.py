"""IPS at the cost of Swin-T on ImageNet.

Paper: none of IPS; the recipe is Swin's (arXiv 2103.14030), as mmpretrain has it.
Command: GPUS=16 tools/slurm_train.sh PARTITION JOB configs/ips/swin-tiny_ips-eqcost_in1k.py
On eight GPUs with the same 1,024 images a step:
    tools/dist_train.sh configs/ips/swin-tiny_ips-eqcost_in1k.py 8 \
        --cfg-options train_dataloader.batch_size=128
Cost: 300 epochs x 1,281,167 images = 384 M, as its twin; 16 GPUs x 64 images = 1,024 a step.
Twin: mmpretrain's own config (81.18 % top-1 by mmpretrain), for our tools
mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py in the same commands.
"""
_base_ = 'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py'

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
