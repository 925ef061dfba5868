"""FastFCN on the hard-label backbone: twin of ``fastfcn_r50_ips_rugd.py``.

Paper: Table 8, 75.51 % mIoU, 93.46 % pixel accuracy for "FastFCN", whose backbone and
recipe it does not state.
Command: python tools/train.py configs/seg/fastfcn_r50_hard_rugd.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'fastfcn_r50_ips_rugd.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
