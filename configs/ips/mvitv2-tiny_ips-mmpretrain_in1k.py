"""IPS with a 2x2 grid, MViTv2-T on ImageNet with the augmentation of mmpretrain's recipe.

Paper: none; mvitv2-tiny_ips_in1k.py is the nearest reading of its text.
Command: tools/dist_train.sh configs/ips/mvitv2-tiny_ips-mmpretrain_in1k.py 8
Cost: 200 epochs x 2,562,334 images (2N), twice that of its twin,
mvitv2-tiny_hard-mmpretrain_in1k.py; 8 GPUs x 48 images (24 pairs) = 384 a step.
"""
_base_ = 'mvitv2-tiny_hard-mmpretrain_in1k.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)]))
train_dataloader = dict(
    batch_size=48, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
