"""SETR-PUP with ViT-L, six coarse classes of RUGD. No backbone of ours: there is no IPS twin.

Paper: Table 8, 82.86 % mIoU, 94.09 % pixel accuracy for "SETR", whose
size and recipe it does not state. It keeps mmseg's optimiser of its ADE20K config, SGD at lr
0.001, ten times that for the heads, no weight decay: the paper's lr of 0.01 is that of its own two
rows. ImageNet weights as mmseg wants them: timm's jx_vit_large_p16_384 through its vit2mmseg.py,
put where model.pretrained says.

Data: python tools/misc/check_data.py configs/seg/setr_vit-l_rugd.py
Command: python tools/train.py configs/seg/setr_vit-l_rugd.py
Cost: 176,000 steps of 8 images on one GPU.
"""
_base_ = [
    __import__('mmips').base('mmseg::_base_/models/setr_pup.py'),
    '../_base_/datasets/rugd_coarse_300x375.py',
    '../_base_/schedules/rugd_176k.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        img_size=(304, 384),  # The crop in whole patches of 16.
        drop_rate=0.),
    decode_head=dict(num_classes=6),
    auxiliary_head=[{**head, 'num_classes': 6} for head in _base_.model.auxiliary_head],
    test_cfg=dict(mode='slide', crop_size=_base_.crop_size, stride=(200, 250)))
optim_wrapper = dict(
    optimizer=dict(lr=0.001, weight_decay=0.0),
    paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10.))))
# The embeddings of positions are interpolated from the file's to the crop's.
custom_hooks = [
    dict(type='mmips.CheckPretrained', allow=['pos_embed']),
    dict(type='mmips.CheckInvalidLoss'),
]
