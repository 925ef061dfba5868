"""DeepLabV3+ on the small hard-label backbone: twin of ``deeplabv3plus_r18-w16_ips_camvid.py``.

Not an experiment of the paper.
Command: python tools/train.py configs/seg/deeplabv3plus_r18-w16_hard_camvid.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet18-w16_hard_npz.py.
"""
_base_ = 'deeplabv3plus_r18-w16_ips_camvid.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet18-w16_hard_npz/epoch_60.pth')))
