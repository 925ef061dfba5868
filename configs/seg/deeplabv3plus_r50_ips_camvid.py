"""DeepLabV3+ on the IPS backbone, CamVid road scenes.

Not an experiment of the paper.

Data: data/camvid/{images,labels}/{train,val,test}, 367, 101 and 233 images
    python tools/misc/check_data.py configs/seg/deeplabv3plus_r50_ips_camvid.py
Command: python tools/train.py configs/seg/deeplabv3plus_r50_ips_camvid.py
Cost: 50 epochs of 367 images, 8 a step on one GPU.
Another checkpoint: --cfg-options model.backbone.init_cfg.checkpoint=FILE
"""
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16.py',
    '../_base_/datasets/camvid.py',
    '../_base_/schedules/poly_epochs.py',
]

max_epochs = 50
model = dict(
    data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=11))
optim_wrapper = dict(
    optimizer=dict(lr=0.007),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.))))
param_scheduler = [{**_base_.param_scheduler[0], 'end': max_epochs}]
train_cfg = dict(max_epochs=max_epochs, val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10))
auto_scale_lr = dict(enable=False, base_batch_size=8)
