"""SSD300 on the hard-label backbone: twin of ``ssd300_r50_ips_voc0712.py``.

Paper: Table 9, 76.13 % mAP on VOC2007 test.
Command: python tools/train.py configs/det/ssd300_r50_hard_voc0712.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'ssd300_r50_ips_voc0712.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
