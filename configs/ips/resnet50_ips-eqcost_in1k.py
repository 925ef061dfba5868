"""IPS with a 2x2 grid at the cost of hard label, ResNet-50 on ImageNet.

Paper: none; the comparison at an equal number of images that it does not make.
Command: tools/dist_train.sh configs/ips/resnet50_ips-eqcost_in1k.py 8
Cost: 100 epochs x 1,281,167 images = 128 M, as resnet50_hard_in1k.py, its twin; 8 GPUs x 32
images (16 pairs) = 256 a step, 5,005 steps an epoch.
All else as in resnet50_ips_in1k.py.
"""
_base_ = 'resnet50_hard_in1k.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)]))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmips.PairedClassSampler', epoch='images'))
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
