"""IPS with a 2x2 grid at the cost of hard label, MViTv2-T on ImageNet.

Paper: none; the comparison at an equal number of images that it does not make.
Command: tools/dist_train.sh configs/ips/mvitv2-tiny_ips-eqcost_in1k.py 8
Cost: 200 epochs x 1,281,167 images = 256 M, as mvitv2-tiny_hard_in1k.py, its twin; 8 GPUs x 24
images (12 pairs) = 192 a step, and so the twin's lr of 2.34e-5.
All else as in mvitv2-tiny_ips_in1k.py.
"""
_base_ = 'mvitv2-tiny_hard_in1k.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)]))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmips.PairedClassSampler', epoch='images'))
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
