# mmseg's runtime with a fixed seed and a backbone that is checked before the first step.
_base_ = [__import__('mmips').base('mmseg::_base_/default_runtime.py')]

# Not among default_hooks, which mmseg's schedules set as well.
custom_hooks = [dict(type='mmips.CheckPretrained'), dict(type='mmips.CheckInvalidLoss')]
randomness = dict(seed=0, deterministic=False)
