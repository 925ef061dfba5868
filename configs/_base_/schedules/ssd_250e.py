# SSD on VOC07+12: 250 epochs, the lr rising to 0.001 over the first two.
_base_ = 'mmdet::_base_/default_runtime.py'

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    # Rises in every iteration, whose number the Runner computes from images and batch size.
    # From 0 in the paper; mmengine wants a factor above it.
    dict(
        type='LinearLR', start_factor=1e-6, begin=0, end=2, by_epoch=True,
        convert_to_iter_based=True),
    dict(type='MultiStepLR', begin=0, end=250, by_epoch=True, milestones=[150, 200], gamma=0.1),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=250, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    checkpoint=dict(interval=5, max_keep_ckpts=3, save_best='pascal_voc/mAP'),
    invalid_loss=dict(type='mmips.CheckInvalidLoss'))
randomness = dict(seed=0, deterministic=False)
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.CheckPretrained'),
    # As mmdet's own SSD configs have it.
    dict(type='NumClassCheckHook'),
]
