"""DisturbLabel on small images from any ``.npz`` file.

Paper: none.
Command: python tools/train.py configs/baselines/disturb/resnet18-s_disturb_npz.py
Cost: 120 epochs x N images, 64 a step, in whole batches on the device.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(train_cfg=dict(augments=[dict(type='mmips.DisturbLabel', alpha=0.1)]))
