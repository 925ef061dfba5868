r"""DeepLabV3+ on the IPS backbone, VOC2012 with SBD.

Paper: Table 6, 75.25 % mIoU. Stated: 50 epochs, lr 0.007, poly 0.9, SGD 0.9, weight decay
5e-4. Input size and batch are lost from the text; crop 513, batch 16, output stride 16,
the tenfold lr of the head and no auxiliary head are the defaults of the public
implementation that the stated ones come from (inferred).

Data: python tools/misc/check_data.py configs/seg/deeplabv3plus_r50_ips_voc12aug.py
Command: python tools/train.py configs/seg/deeplabv3plus_r50_ips_voc12aug.py
Cost: 50 epochs of 10,582 images, 16 a step on one GPU; on four, 4 each:
    tools/dist_train.sh configs/seg/deeplabv3plus_r50_ips_voc12aug.py 4 \
        --cfg-options train_dataloader.batch_size=4
Checkpoint: that of configs/ips/resnet50_ips-4x4_in1k.py. Another one, such as the 2x2 one:
    --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/resnet50_ips_in1k/epoch_100.pth
"""
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16.py',
    '../_base_/datasets/voc12aug_513.py',
    '../_base_/schedules/poly_epochs.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=21))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10.))))
auto_scale_lr = dict(enable=False, base_batch_size=16)
