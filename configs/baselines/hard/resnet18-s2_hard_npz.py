"""Hard label on small images from any ``.npz`` file, twice as wide: the teacher of ``resnet18-s``.

Paper: none.
Command: python tools/train.py configs/baselines/hard/resnet18-s2_hard_npz.py
Cost: 120 epochs x N images, 64 a step; 2.8 M parameters, four times the arithmetic of resnet18-s.
"""
_base_ = 'resnet18-s_hard_npz.py'

model = dict(backbone=dict(stem_channels=32, base_channels=32), head=dict(in_channels=256))
