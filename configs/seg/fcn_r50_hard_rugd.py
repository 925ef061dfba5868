"""FCN head alone on the hard-label backbone: twin of ``fcn_r50_ips_rugd.py``.

Not an experiment of the paper.
Command: python tools/train.py configs/seg/fcn_r50_hard_rugd.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'fcn_r50_ips_rugd.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
