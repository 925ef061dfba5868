"""Segmenter with ViT-B, six coarse classes of RUGD. No backbone of ours: there is no IPS twin.

Paper: Table 8, 81.15 % mIoU, 93.22 % pixel accuracy for "Segmenter", whose
size and recipe it does not state. It keeps mmseg's optimiser for it, SGD at lr 0.001 without
weight decay: the paper's lr of 0.01 is that of its own two rows. mmseg downloads the ImageNet
weights.

Data: python tools/misc/check_data.py configs/seg/segmenter_vit-b_rugd.py
Command: python tools/train.py configs/seg/segmenter_vit-b_rugd.py
Cost: 176,000 steps of 8 images on one GPU.
"""
_base_ = [
    __import__('mmips').base('mmseg::_base_/models/segmenter_vit-b16_mask.py'),
    '../_base_/datasets/rugd_coarse_300x375.py',
    '../_base_/schedules/rugd_176k.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(img_size=(304, 384)),  # The crop in whole patches of 16.
    decode_head=dict(num_classes=6),
    test_cfg=dict(crop_size=_base_.crop_size, stride=(281, 351)))
optim_wrapper = dict(optimizer=dict(lr=0.001, weight_decay=0.0))
# The embeddings of positions are interpolated from the file's to the crop's.
custom_hooks = [
    dict(type='mmips.CheckPretrained', allow=['pos_embed']),
    dict(type='mmips.CheckInvalidLoss'),
]
