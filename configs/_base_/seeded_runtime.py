# mmpretrain's runtime, made repeatable: a fixed seed, and a reseed before each
# epoch, so that a killed and resumed run ends in the weights of an unbroken one.
_base_ = 'mmpretrain::_base_/default_runtime.py'

custom_hooks = [dict(type='mmips.EpochSeedHook')]
randomness = dict(seed=0, deterministic=False)
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3),
    invalid_loss=dict(type='mmips.CheckInvalidLoss'))
# Without the `_scope_` of a foreign base, which mmpretrain's browse_dataset chokes on.
visualizer = dict(
    _delete_=True, type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
