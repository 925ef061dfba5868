"""DeepLabV3+ on the hard-label backbone: twin of ``deeplabv3plus_r50_ips_ade20k-80k.py``.

Not an experiment of the paper.
Command: python tools/train.py configs/seg/deeplabv3plus_r50_hard_ade20k-80k.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'deeplabv3plus_r50_ips_ade20k-80k.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
