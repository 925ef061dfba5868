"""MixSKD on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/mixskd/resnet18-s_mixskd_npz.py
Cost: 60 epochs x N images and as many mixes, as many as 120 epochs of hard label; 32 + 32 a step,
each through four exits.
Differs from the other methods: the authors' 5 epochs of linear warm-up. Without them the sum of ten
cross entropies does not learn at this lr: on 5 classes of CIFAR-100 it was at 26 % after 10 epochs,
with them at 60 %.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.MixSelfDistillClassifier', backbone=dict(out_indices=(0, 1, 2, 3)), mix_alpha=0.4)
train_dataloader = dict(batch_size=32)
auto_scale_lr = dict(base_batch_size=32)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(type='MultiStepLR', by_epoch=True, milestones=[38, 45, 53], gamma=0.1),
]
train_cfg = dict(max_epochs=60, val_interval=15)
default_hooks = dict(checkpoint=dict(interval=15))
custom_hooks = [dict(type='mmips.EpochSeedHook'), dict(type='mmips.FastStepHook', cuda_graph=False)]
