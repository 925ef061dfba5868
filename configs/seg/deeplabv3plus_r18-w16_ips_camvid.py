"""DeepLabV3+ on the small IPS backbone, CamVid road scenes.

Checkpoint: that of configs/ips/resnet18-w16_ips_npz.py. Not an experiment of the paper.

Data: data/camvid/{images,labels}/{train,val,test}, 367, 101 and 233 images
    python tools/misc/check_data.py configs/seg/deeplabv3plus_r18-w16_ips_camvid.py
Command: python tools/train.py configs/seg/deeplabv3plus_r18-w16_ips_camvid.py
Cost: 20 epochs of 367 images, 8 a step; minutes on one CPU core.
Another checkpoint: --cfg-options model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/deeplabv3plus_r18-w16-d16.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/poly_epochs.py',
]

max_epochs = 20
model = dict(
    data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=11))
optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.))))
param_scheduler = [{**_base_.param_scheduler[0], 'end': max_epochs}]
train_cfg = dict(max_epochs=max_epochs, val_interval=5)
default_hooks = dict(checkpoint=dict(interval=5))
auto_scale_lr = dict(enable=False, base_batch_size=8)
