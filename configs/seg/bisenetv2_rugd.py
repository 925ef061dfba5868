"""BiSeNetV2, six coarse classes of RUGD. No backbone of ours: there is no IPS twin.

Paper: Table 8, 75.10 % mIoU, 93.40 % pixel accuracy for "BiseNetv2", whose
recipe it does not state. The network is mmseg's, the recipe that of
``pspnet-fcn_r50_ips_rugd.py`` (mmseg's own is SGD at lr 0.05 with a warm-up).

Data: python tools/misc/check_data.py configs/seg/bisenetv2_rugd.py
Command: python tools/train.py configs/seg/bisenetv2_rugd.py
Cost: 176,000 steps of 8 images on one GPU.
"""
_base_ = [
    __import__('mmips').base('mmseg::_base_/models/bisenetv2.py'),
    '../_base_/datasets/rugd_coarse_300x375.py',
    '../_base_/schedules/rugd_176k.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=6),
    auxiliary_head=[{**head, 'num_classes': 6} for head in _base_.model.auxiliary_head])
# Trained from scratch: there is no checkpoint to check.
custom_hooks = [dict(type='mmips.CheckInvalidLoss')]
