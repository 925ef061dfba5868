"""Hard-label twin of ``ssd300_r50_ips_bccd.py``: the checkpoint alone differs."""
_base_ = 'ssd300_r50_ips_bccd.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
