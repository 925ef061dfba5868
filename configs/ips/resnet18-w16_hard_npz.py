"""Hard-label twin of ``resnet18-w16_ips_npz.py``: a small backbone to transfer.

File and subset as in ``resnet-s_hard_npz.py``. Not an experiment of the paper.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet18-w16_hard_npz.py
Cost: 60 epochs x N images, 64 a step.
"""
_base_ = [
    '../_base_/models/resnet18-w16.py',
    '../_base_/datasets/npz.py',
    '../_base_/schedules/npz_120e.py',
    '../_base_/seeded_runtime.py',
]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
# The normalisation of the segmentors and detectors that take the backbone.
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
# A ResNet's stem divides the size by four; 64 pixels leave two in the last stage.
train_pipeline = [*_base_.train_pipeline[:-1], dict(type='Resize', scale=64),
                  _base_.train_pipeline[-1]]
test_pipeline = [dict(type='Resize', scale=64), *_base_.test_pipeline]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
param_scheduler = dict(milestones=[38, 45, 53])
train_cfg = dict(max_epochs=60, val_interval=15)
default_hooks = dict(
    logger=dict(interval=100), checkpoint=dict(interval=15, max_keep_ckpts=1))
