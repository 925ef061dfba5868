"""DeepLabV3+ on the IPS backbone, Cityscapes.

Paper: Table 6, 69.26 % mIoU. Stated: 200 epochs, lr 0.01; all else as for VOC2012, images
brought to a short side of 513 pixels and crops of 513 (inferred).

Data: python tools/misc/check_data.py configs/seg/deeplabv3plus_r50_ips_cityscapes.py
Command: python tools/train.py configs/seg/deeplabv3plus_r50_ips_cityscapes.py
Cost: 200 epochs of 2,975 images, 16 a step on one GPU.
Checkpoint: that of configs/ips/resnet50_ips-4x4_in1k.py. Another one, such as the 2x2 one:
    --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/resnet50_ips_in1k/epoch_100.pth
"""
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16.py',
    '../_base_/datasets/cityscapes_513.py',
    '../_base_/schedules/poly_epochs.py',
]

max_epochs = 200
model = dict(
    data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=19))
optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.))))
param_scheduler = [{**_base_.param_scheduler[0], 'end': max_epochs}]
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=4))
auto_scale_lr = dict(enable=False, base_batch_size=16)
