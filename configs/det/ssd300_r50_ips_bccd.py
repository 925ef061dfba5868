"""SSD300 on the IPS backbone, BCCD blood cells or any set in Pascal VOC's format.

Not an experiment of the paper.

Data: data/bccd/BCCD/{JPEGImages,Annotations,ImageSets/Main}, 205, 87 and 72 images
    python tools/misc/check_data.py configs/det/ssd300_r50_ips_bccd.py
Command: python tools/train.py configs/det/ssd300_r50_ips_bccd.py
Cost: 50 epochs of 205 images, 16 a step on one GPU.
Another checkpoint: --cfg-options model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/ssd300_r50.py',
    '../_base_/datasets/bccd_300.py',
    '../_base_/schedules/ssd_250e.py',
]

max_epochs = 50
model = dict(bbox_head=dict(num_classes=len(_base_.metainfo.classes)))
param_scheduler = [
    _base_.param_scheduler[0],
    {**_base_.param_scheduler[1], 'milestones': [35, 45], 'end': max_epochs},
]
optim_wrapper = dict(optimizer=dict(lr=0.002))
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(enable=False, base_batch_size=16)
