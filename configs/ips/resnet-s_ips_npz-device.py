"""IPS on small images from any ``.npz`` file, in whole batches on the device.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet-s_ips_npz-device.py
Cost and recipe: as resnet-s_ips_npz.py, which draws its crops one image at a time.
Not an experiment of the paper.
"""
_base_ = 'resnet-s_ips_npz.py'

from mmips.config.device_path import on_device

globals().update(on_device(_base_))
