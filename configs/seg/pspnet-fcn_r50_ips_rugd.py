"""PSPNet head with a parallel FCN head on the IPS backbone, six coarse classes of RUGD.

Paper: Table 8, 88.29 % mIoU, 95.42 % pixel accuracy. Stated: both heads, plain ResNet-50,
lr 0.01, weight decay 5e-4, poly 0.9, 176,000 steps, batch 8, crop 300x375. That the FCN
head reads the third stage and weighs 0.4 is mmseg's default (inferred), as is the momentum.

Data: python tools/misc/check_data.py configs/seg/pspnet-fcn_r50_ips_rugd.py
Command: python tools/train.py configs/seg/pspnet-fcn_r50_ips_rugd.py
Cost: 176,000 steps of 8 images on one GPU.
Checkpoint: that of configs/ips/resnet50_ips-4x4_in1k.py. Another one, such as the 2x2 one:
    --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/resnet50_ips_in1k/epoch_100.pth
"""
_base_ = [
    '../_base_/models/pspnet_r50-d8.py',
    '../_base_/datasets/rugd_coarse_300x375.py',
    __import__('mmips').base('mmseg::_base_/schedules/schedule_160k.py'),
    '../_base_/seg_runtime.py',
]

max_iters = 176000
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=6),
    auxiliary_head=dict(num_classes=6))
param_scheduler = [dict(
    # The base decays to 1e-4; the paper names no floor.
    type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters, val_interval=8000)
default_hooks = dict(checkpoint=dict(interval=8000, max_keep_ckpts=3, save_best='mIoU'))
auto_scale_lr = dict(enable=False, base_batch_size=8)
