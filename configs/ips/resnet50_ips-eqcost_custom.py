"""IPS at the cost of hard label on your own folder of images, ResNet-50 at 224 pixels.

Data, checkpoint and classes as described in resnet50_ips_custom.py. Not an experiment of the
paper.

Command: MMIPS_DATA=path/to/images python tools/train.py configs/ips/resnet50_ips-eqcost_custom.py
Cost: 100 epochs x N images, as resnet50_hard_custom.py, its twin; 32 (16 pairs) a step on one GPU.
"""
_base_ = 'resnet50_hard_custom.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='mmips.PairedClassSampler', epoch='images'))
# The twin's, which check a checkpoint if one is given.
custom_hooks = _base_.custom_hooks + [dict(type='mmips.SelfDistillMonitor')]
