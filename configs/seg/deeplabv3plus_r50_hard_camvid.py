"""Hard-label twin of ``deeplabv3plus_r50_ips_camvid.py``: the checkpoint alone differs."""
_base_ = 'deeplabv3plus_r50_ips_camvid.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
