"""SSD300 on the small IPS backbone, BCCD blood cells or any set in Pascal VOC's format.

Checkpoint: that of configs/ips/resnet18-w16_ips_npz.py. Not an experiment of the paper.

Data: data/bccd/BCCD/{JPEGImages,Annotations,ImageSets/Main}, 205, 87 and 72 images
    python tools/misc/check_data.py configs/det/ssd300_r18-w16_ips_bccd.py
Command: python tools/train.py configs/det/ssd300_r18-w16_ips_bccd.py
Cost: 30 epochs of 205 images, 16 a step; minutes on one CPU core.
Another checkpoint: --cfg-options model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/ssd300_r18-w16.py',
    '../_base_/datasets/bccd_300.py',
    '../_base_/schedules/ssd_250e.py',
]

max_epochs = 30
model = dict(bbox_head=dict(num_classes=len(_base_.metainfo.classes)))
param_scheduler = [
    _base_.param_scheduler[0],
    {**_base_.param_scheduler[1], 'milestones': [22, 27], 'end': max_epochs},
]
optim_wrapper = dict(optimizer=dict(lr=0.002))
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
default_hooks = dict(checkpoint=dict(interval=5))
auto_scale_lr = dict(enable=False, base_batch_size=16)
