"""UPerNet on the hard-label backbone: twin of ``upernet_r50_ips_cityscapes-80k.py``.

Not an experiment of the paper.
Command: python tools/train.py configs/seg/upernet_r50_hard_cityscapes-80k.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'upernet_r50_ips_cityscapes-80k.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
