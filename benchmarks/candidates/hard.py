"""Hard label with the candidates' parts, metrics and hooks: the base of next_npz.yml."""
_base_ = '../../configs/baselines/hard/resnet18-s_hard_npz.py'

custom_imports = dict(imports=['benchmarks.candidates'])
optim_wrapper = dict(type='mmips.BFloat16OptimWrapper')
val_evaluator = [dict(type='Accuracy'), dict(type='mmips.SafetyMetrics')]
test_evaluator = val_evaluator
# No CUDA graph: some of the steps change from epoch to epoch.
custom_hooks = [dict(type='mmips.EpochSeedHook'), dict(type='mmips.FastStepHook', cuda_graph=False)]
