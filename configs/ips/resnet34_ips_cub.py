"""IPS with a 4x4 grid, ResNet-34 from scratch on CUB-200.

Paper: Table 5, 69.46 % top-1 (hard label: 59.79).
Command: python tools/train.py configs/ips/resnet34_ips_cub.py
Cost: 200 epochs x 11,988 images (2N), twice the twin's; 32 pairs = 64 images a step.
Differs from the paper: as in the twin; constant or progressive prob is not said.
"""
_base_ = 'resnet34_hard_cub.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(
    batch_size=64, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=64)
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
