"""PSPNet on the IPS backbone, Cityscapes, with mmseg's own recipe.

Not an experiment of the paper. The recipe is that of mmseg's
pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py; only the backbone differs: a plain
ResNet-50 from a classification checkpoint.

Data: python tools/misc/check_data.py configs/seg/pspnet_r50_ips_cityscapes.py
Command: tools/dist_train.sh configs/seg/pspnet_r50_ips_cityscapes.py 4
Cost: 40,000 steps of 8 images: 2 on each of four GPUs.
Checkpoint: that of configs/ips/resnet50_ips-4x4_in1k.py. Another one, such as the 2x2 one:
    --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/resnet50_ips_in1k/epoch_100.pth
"""
_base_ = [
    '../_base_/models/pspnet_r50-d8.py',
    __import__('mmips').base('mmseg::_base_/datasets/cityscapes.py'),
    __import__('mmips').base('mmseg::_base_/schedules/schedule_40k.py'),
    '../_base_/seg_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=19),
    auxiliary_head=dict(num_classes=19))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3, save_best='mIoU'))
auto_scale_lr = dict(enable=False, base_batch_size=8)
