"""IPS on ResNet-50 and images of 64 pixels: ``resnet18-w16_ips_npz.py`` for a GPU.

What tools/compare_transfer.py pretrains with --network resnet50. File and subset as in
``resnet-s_hard_npz.py``. Not an experiment of the paper.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet50_ips_npz.py
Cost: 30 epochs x 2N images, 64 (32 pairs) a step; for a GPU.
"""
_base_ = 'resnet18-w16_ips_npz.py'

model = dict(
    backbone=dict(depth=50, stem_channels=64, base_channels=64),
    head=dict(in_channels=2048))
