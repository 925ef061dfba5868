"""PSPNet and FCN heads on the hard-label backbone: twin of ``pspnet-fcn_r50_ips_rugd.py``.

Paper: Table 8, 84.21 % mIoU, 94.90 % pixel accuracy.
Command: python tools/train.py configs/seg/pspnet-fcn_r50_hard_rugd.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'pspnet-fcn_r50_ips_rugd.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
