"""Hard label on handwritten digits, in whole batches on the device.

Command: python tools/train.py configs/ips/resnet-s_hard_digits-device.py
Cost and recipe: as resnet-s_hard_digits.py, which draws its crops one image at a time.
Not an experiment of the paper.
"""
_base_ = 'resnet-s_hard_digits.py'

from mmips.config.device_path import on_device

globals().update(on_device(_base_))
