"""IPS, constant swap probability, ResNet-18 on CIFAR-100, with the images on the GPU.

Paper: Table 15, 80.27 % top-1 (hard label: 77.92 %).
Command: python tools/train.py configs/ips/resnet18_ips_cifar100-device.py
Cost: as resnet18_ips_cifar100.py: 240 epochs x 100,000 images = 24 M images seen.
Differs from it as resnet18_hard_cifar100-device.py does from its own.
"""
_base_ = 'resnet18_ips_cifar100.py'

from mmips.config.device_path import on_device

globals().update(on_device(_base_))
optim_wrapper = dict(type='mmips.BFloat16OptimWrapper', optimizer=dict(fused=True))
train_cfg = dict(val_interval=10)  # an epoch takes seconds
