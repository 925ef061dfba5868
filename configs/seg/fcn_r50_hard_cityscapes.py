"""FCN on the hard-label backbone: twin of ``fcn_r50_ips_cityscapes.py``.

Not an experiment of the paper.
Data, command and cost as there; the checkpoint alone differs.
"""
_base_ = 'fcn_r50_ips_cityscapes.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
