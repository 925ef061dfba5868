"""Hard-label twin of ``resnet50_ips_custom.py``: your own folder of images.

Data, checkpoint and classes as described there. Not an experiment of the paper.

Command: MMIPS_DATA=path/to/images python tools/train.py configs/ips/resnet50_hard_custom.py
Cost: 100 epochs x N images, 32 a step on one GPU.
"""
_base_ = [
    'mmpretrain::_base_/models/resnet50.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/custom_100e.py',
    '../_base_/published_checkpoint.py',
    '../_base_/seeded_runtime.py',
]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes, topk=(1, )))
if _base_.checkpoint:
    model['backbone'] = dict(init_cfg=dict(
        type='Pretrained', checkpoint=_base_.checkpoint, prefix=_base_.prefix))
    # mmengine itself only warns where a checkpoint does not fit.
    custom_hooks = _base_.custom_hooks + [dict(type='mmips.CheckPretrained')]
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(save_best='auto'))
