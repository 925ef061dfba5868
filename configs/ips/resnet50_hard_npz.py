"""Hard-label twin of ``resnet50_ips_npz.py``: ResNet-50 on images of 64 pixels.

File and subset as in ``resnet-s_hard_npz.py``. Not an experiment of the paper.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet50_hard_npz.py
Cost: 60 epochs x N images, 64 a step; for a GPU.
"""
_base_ = 'resnet18-w16_hard_npz.py'

model = dict(
    backbone=dict(depth=50, stem_channels=64, base_channels=64),
    head=dict(in_channels=2048))
