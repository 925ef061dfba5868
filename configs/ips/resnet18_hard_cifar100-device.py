"""Hard label, ResNet-18 on CIFAR-100, with the images on the GPU.

Paper: Table 3, 77.92 % top-1.
Command: python tools/train.py configs/ips/resnet18_hard_cifar100-device.py
Cost: as resnet18_hard_cifar100.py: 240 epochs x 50,000 images = 12 M images seen.
Differs from it: images on the device, cropped and flipped there; bfloat16, channels-last,
fused SGD; a step is one CUDA graph; validated every tenth epoch.
"""
_base_ = 'resnet18_hard_cifar100.py'

from mmips.config.device_path import on_device

globals().update(on_device(_base_))
optim_wrapper = dict(type='mmips.BFloat16OptimWrapper', optimizer=dict(fused=True))
train_cfg = dict(val_interval=10)  # an epoch takes seconds
