"""IPS with a 2x2 grid at the cost of hard label, MobileNetV2 on ImageNet.

Paper: none; the comparison at an equal number of images that it does not make.
Command: tools/dist_train.sh configs/ips/mobilenet-v2_ips-eqcost_in1k.py 8
Cost: 60 epochs x 1,281,167 images = 77 M, as mobilenet-v2_hard_in1k.py, its twin; 8 GPUs x 32
images (16 pairs) = 256 a step.
All else as in mobilenet-v2_ips_in1k.py.
"""
_base_ = 'mobilenet-v2_hard_in1k.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)]))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmips.PairedClassSampler', epoch='images'))
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
