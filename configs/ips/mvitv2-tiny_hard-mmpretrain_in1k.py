"""Hard label, MViTv2-T on ImageNet with the augmentation of mmpretrain's recipe.

Paper: none; mvitv2-tiny_hard_in1k.py is the nearest reading of its text.
Command: tools/dist_train.sh configs/ips/mvitv2-tiny_hard-mmpretrain_in1k.py 8
Cost: 200 epochs x 1,281,167 images; 8 GPUs x 24 images = 192 a step.
mmpretrain's RandAugment, RandomErasing, label smoothing 0.1, AdamW, cosine and clipping,
without its Mixup and CutMix. Its warm-up of 70 in 300 epochs is fitted to 200: 47. Its lr of
2.5e-4, down to 1e-5, is that of 2,048 images a step, and is scaled to those that a run makes:
of 192 it is 2.34e-5, down to 9.4e-7.
"""
_base_ = 'mmpretrain::mvit/mvitv2-tiny_8xb256_in1k.py'

model = dict(train_cfg=dict(_delete_=True))
train_dataloader = dict(
    batch_size=24,
    persistent_workers=False,
    worker_init_fn=dict(type='mmips.seed_worker'))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=1e-3,
        by_epoch=True,
        end=47,
        convert_to_iter_based=True),
    # The base's eta_min, as a share, which is scaled with the lr.
    dict(type='CosineAnnealingLR', eta_min_ratio=0.04, by_epoch=True, begin=47),
]
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(enable=True, base_batch_size=2048)
custom_hooks = [dict(type='mmips.EpochSeedHook')]
randomness = dict(seed=0)
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3),
    invalid_loss=dict(type='mmips.CheckInvalidLoss'))
# Without the base's `_scope_`, which mmpretrain's browse_dataset chokes on.
visualizer = dict(
    _delete_=True, type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
