"""IPS with a 2x2 grid, MViTv2-T on ImageNet.

Paper: Table 2, 80.99 % top-1 (hard label: 77.71).
Command: tools/dist_train.sh configs/ips/mvitv2-tiny_ips_in1k.py 8
Cost: 200 epochs x 2,562,334 images (2N), twice the twin's; 8 GPUs x 48 images (24
pairs) = 384 a step.
Differs from the paper: nothing known, as in the twin. Inferred: batch in pairs, 2x2 as the
number of cells; prob and temperature unknown. The lr is scaled to 384 images: 4.69e-5.
"""
_base_ = 'mvitv2-tiny_hard_in1k.py'

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
