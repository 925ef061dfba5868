"""SegFormer with MiT-B0, six coarse classes of RUGD. No backbone of ours: there is no IPS twin.

Paper: Table 8, 86.83 % mIoU, 95.17 % pixel accuracy for "Segformer", whose
size and recipe it does not state. It keeps mmseg's optimiser for it, AdamW at lr 6e-5 with a
warm-up: the paper's SGD at 0.01 is that of its own two rows, and no lr for a transformer.

Data: python tools/misc/check_data.py configs/seg/segformer_mit-b0_rugd.py
Command: python tools/train.py configs/seg/segformer_mit-b0_rugd.py
Cost: 176,000 steps of 8 images on one GPU.
"""
_base_ = [
    __import__('mmips').base('mmseg::_base_/models/segformer_mit-b0.py'),
    '../_base_/datasets/rugd_coarse_300x375.py',
    '../_base_/schedules/rugd_176k_adamw.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    # mmseg's ImageNet weights, which its base leaves to the configs.
    backbone=dict(init_cfg=dict(
        type='Pretrained',
        checkpoint='https://mmassets.onedl.ai/mmsegmentation/v0.5/pretrain/segformer/'
                   'mit_b0_20220624-7e0fe6dd.pth')),
    decode_head=dict(num_classes=6))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.))))
