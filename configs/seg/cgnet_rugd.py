"""CGNet, six coarse classes of RUGD. No backbone of ours: there is no IPS twin.

Paper: Table 8, 76.22 % mIoU, 93.29 % pixel accuracy for "CGNet", whose
recipe it does not state. The network is mmseg's, the recipe that of
``pspnet-fcn_r50_ips_rugd.py`` (mmseg's own is Adam at lr 0.001).

Data: python tools/misc/check_data.py configs/seg/cgnet_rugd.py
Command: python tools/train.py configs/seg/cgnet_rugd.py
Cost: 176,000 steps of 8 images on one GPU.
"""
_base_ = [
    __import__('mmips').base('mmseg::_base_/models/cgnet.py'),
    '../_base_/datasets/rugd_coarse_300x375.py',
    '../_base_/schedules/rugd_176k.py',
]

model = dict(
    # The base has the mean colour and the class weights of Cityscapes.
    data_preprocessor=dict(
        size=_base_.crop_size, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    decode_head=dict(num_classes=6, loss_decode=dict(class_weight=None)))
# Trained from scratch: there is no checkpoint to check.
custom_hooks = [dict(type='mmips.CheckInvalidLoss')]
