# mmseg's runtime with a fixed seed and a backbone that is checked before the first step.
_base_ = [__import__('mmips').base('mmseg::_base_/default_runtime.py')]

custom_hooks = [dict(type='mmips.CheckPretrained')]
default_hooks = dict(invalid_loss=dict(type='mmips.CheckInvalidLoss'))
randomness = dict(seed=0, deterministic=False)
