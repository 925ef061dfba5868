# DeepLabV3+ on the small ResNet-18, for CPUs: 0.9 M parameters in all.
_base_ = 'deeplabv3plus_r50-d16.py'

# SyncBN refuses CPU tensors, which several processes on CPUs would meet: BN everywhere.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(
        depth=18,
        stem_channels=16,
        base_channels=16,
        norm_cfg=norm_cfg,
        init_cfg=dict(checkpoint='work_dirs/resnet18-w16_ips_npz/epoch_30.pth')),
    decode_head=dict(
        in_channels=128, channels=64, c1_in_channels=16, c1_channels=16, norm_cfg=norm_cfg))
