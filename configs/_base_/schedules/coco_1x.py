# mmdet's own 1x schedule, 12 epochs, made repeatable, with a backbone that is checked before the
# first step, and the three newest checkpoints and the best one kept.
_base_ = ['mmdet::_base_/schedules/schedule_1x.py', 'mmdet::_base_/default_runtime.py']

default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3, save_best='coco/bbox_mAP'),
    invalid_loss=dict(type='mmips.CheckInvalidLoss'))
randomness = dict(seed=0, deterministic=False)
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.CheckPretrained'),
    # As mmdet's own SSD configs have it.
    dict(type='NumClassCheckHook'),
]
