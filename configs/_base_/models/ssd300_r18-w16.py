# SSD300 on the small ResNet-18, for CPUs.
_base_ = 'ssd300_r50.py'

channels = (32, 64, 64, 64, 64, 64)
model = dict(
    backbone=dict(
        depth=18,
        stem_channels=16,
        base_channels=16,
        init_cfg=dict(checkpoint='work_dirs/resnet18-w16_ips_npz/epoch_30.pth')),
    neck=dict(in_channels=channels[:2], out_channels=channels),
    bbox_head=dict(in_channels=channels))
