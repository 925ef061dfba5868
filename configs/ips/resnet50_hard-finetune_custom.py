"""Hard-label twin of ``resnet50_ips-finetune_custom.py``: a published ResNet-50 on your own images.

Data and checkpoint as described there. Not an experiment of the paper.

Command: MMIPS_DATA=path python tools/train.py configs/ips/resnet50_hard-finetune_custom.py
Cost: 20 epochs x N images, 32 a step on one GPU.
"""
_base_ = [
    'mmpretrain::_base_/models/resnet50.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/finetune_20e.py',
    '../_base_/published_checkpoint.py',
    '../_base_/seeded_runtime.py',
]

model = dict(
    backbone=dict(init_cfg=dict(
        type='Pretrained',
        checkpoint=_base_.checkpoint or 'torchvision://resnet50',
        prefix=_base_.prefix)),
    head=dict(num_classes=_base_.data_preprocessor.num_classes, topk=(1, )))
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.CheckPretrained')]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(save_best='auto'))
