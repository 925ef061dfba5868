"""IPS with a 2x2 grid, MViTv2-T on ImageNet.

Paper: Table 2, 80.99 % top-1 (hard label: 77.71).
Command: tools/dist_train.sh configs/ips/mvitv2-tiny_ips_in1k.py 8
Cost: 200 epochs x 2,562,334 images (2N), twice the twin's; 8 GPUs x 48 images (24
pairs) = 384 a step.
Differs from the paper: as in the twin; batch in pairs, prob and temperature unknown.
"""
_base_ = 'mvitv2-tiny_hard_in1k.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)]))
train_dataloader = dict(
    batch_size=48, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=384)
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
