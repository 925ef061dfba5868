"""DPT with ViT-B, six coarse classes of RUGD. No backbone of ours: there is no IPS twin.

Paper: Table 8, 49.13 % mIoU, 88.77 % pixel accuracy for "DPT", whose
size and recipe it does not state. It keeps mmseg's optimiser for it, AdamW at lr 6e-5 with a
warm-up: the paper's SGD at 0.01 is that of its own two rows, and no lr for a transformer.
ImageNet weights as mmseg wants them: timm's ViT-B/16 of 224 pixels through its vit2mmseg.py, put
where model.pretrained says.

Data: python tools/misc/check_data.py configs/seg/dpt_vit-b16_rugd.py
Command: python tools/train.py configs/seg/dpt_vit-b16_rugd.py
Cost: 176,000 steps of 8 images on one GPU.
"""
_base_ = [
    __import__('mmips').base('mmseg::_base_/models/dpt_vit-b16.py'),
    '../_base_/datasets/rugd_coarse_300x375.py',
    '../_base_/schedules/rugd_176k_adamw.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size), decode_head=dict(num_classes=6))
# The embeddings of positions are interpolated from the file's to the crop's.
custom_hooks = [
    dict(type='mmips.CheckPretrained', allow=['pos_embed']),
    dict(type='mmips.CheckInvalidLoss'),
]
