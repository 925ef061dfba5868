"""Hard-label twin of ``ssd300_r18-w16_ips_bccd.py``: the checkpoint alone differs."""
_base_ = 'ssd300_r18-w16_ips_bccd.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet18-w16_hard_npz/epoch_60.pth')))
