"""SSD300 on the small hard-label backbone: twin of ``ssd300_r18-w16_ips_bccd.py``.

Not an experiment of the paper.
Command: python tools/train.py configs/det/ssd300_r18-w16_hard_bccd.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet18-w16_hard_npz.py.
"""
_base_ = 'ssd300_r18-w16_ips_bccd.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet18-w16_hard_npz/epoch_60.pth')))
