"""SSD300 on the hard-label backbone: twin of ``ssd300_r50_ips_bccd.py``.

Not an experiment of the paper.
Command: python tools/train.py configs/det/ssd300_r50_hard_bccd.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'ssd300_r50_ips_bccd.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
