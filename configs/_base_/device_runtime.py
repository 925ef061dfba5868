# The repeatable runtime for a network that runs faster than Python can launch its kernels.
_base_ = 'seeded_runtime.py'

custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.FastStepHook'),
]
default_hooks = dict(
    runtime_info=dict(type='mmips.LazyRuntimeInfoHook'),
    checkpoint=dict(interval=10, max_keep_ckpts=1))
env_cfg = dict(cudnn_benchmark=True)
