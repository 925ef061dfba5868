"""PSPNet head alone on the hard-label backbone: twin of ``pspnet_r50_ips_rugd.py``.

Paper: Table 8, 67.06 % mIoU, 92.85 % pixel accuracy for "PSPNet", whose backbone and
recipe it does not state.
Command: python tools/train.py configs/seg/pspnet_r50_hard_rugd.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'pspnet_r50_ips_rugd.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
