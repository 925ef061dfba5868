"""Hard label, ResNet-18 on CIFAR-100, with the images on the GPU.

Paper: Table 3, 77.92 % top-1.
Command: python tools/train.py configs/ips/resnet18_hard_cifar100-device.py
Cost: as resnet18_hard_cifar100.py: 240 epochs x 50,000 images = 12 M images seen.
Differs from it: images on the device, drawn and cropped there; bfloat16, channels-last,
fused SGD; a step is one CUDA graph. Losses are read at the log interval.
"""
_base_ = [
    'mmpretrain::_base_/models/resnet18_cifar.py',
    '../_base_/datasets/cifar100_bs64_device.py',
    '../_base_/schedules/cifar100_240e.py',
    '../_base_/device_runtime.py',
]

model = dict(backbone=dict(zero_init_residual=False), head=dict(num_classes=100))
optim_wrapper = dict(
    type='mmips.BFloat16OptimWrapper', optimizer=dict(fused=True))
train_cfg = dict(val_interval=10)
