"""IPS with a 2x2 grid, MobileNetV2 on ImageNet.

Paper: Table 2, 60.83 % top-1, 84.31 % top-5 (hard label: 60.05, 83.20).
Command: tools/dist_train.sh configs/ips/mobilenet-v2_ips_in1k.py 8
Cost: 60 epochs x 2,562,334 images (2N), twice the twin's; 8 GPUs x 64 images (32
pairs) = 512 a step.
Differs from the paper: as in the twin; batch in pairs, prob and temperature unknown.
"""
_base_ = 'mobilenet-v2_hard_in1k.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)]))
train_dataloader = dict(
    batch_size=64, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=512)
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
