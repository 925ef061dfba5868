"""IPS with a 4x4 grid at the cost of hard label, ResNet-18 from scratch on Stanford Dogs.

Paper: none; the comparison at an equal number of images that it does not make.
Command: python tools/train.py configs/ips/resnet18_ips-eqcost_dogs.py
Cost: 200 epochs x 12,000 images = 2.4 M, as resnet18_hard_dogs.py, its twin; 16 pairs = 32
images a step.
All else as in resnet18_ips_dogs.py.
"""
_base_ = 'resnet18_hard_dogs.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmips.PairedClassSampler', epoch='images'))
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
