"""PSANet on the hard-label backbone: twin of ``psanet_r50_ips_rugd.py``.

Paper: Table 8, 55.47 % mIoU, 92.13 % pixel accuracy for "PSANet", whose backbone and
recipe it does not state.
Command: python tools/train.py configs/seg/psanet_r50_hard_rugd.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'psanet_r50_ips_rugd.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
