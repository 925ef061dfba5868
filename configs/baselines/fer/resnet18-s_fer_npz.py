"""FER on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/fer/resnet18-s_fer_npz.py
Cost: 120 epochs x N images, 64 a step, in whole batches on the device.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

# The loss has its own cross entropy.
model = dict(
    type='mmips.DistillClassifier',
    gamma=0,
    distill=dict(type='mmips.FERLoss', temperature=5, gamma=0.1, mu=1))
custom_hooks = [
    _base_.custom_hooks[0], dict(type='mmips.FastStepHook', cuda_graph=False),
    dict(type='mmips.MemoryHook')]
