"""Hard-label twin of ``deeplabv3plus_r18-w16_ips_camvid.py``: the checkpoint alone differs."""
_base_ = 'deeplabv3plus_r18-w16_ips_camvid.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet18-w16_hard_npz/epoch_60.pth')))
