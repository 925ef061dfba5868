"""IPS with a 2x2 grid, ResNet-50 on ImageNet, decoded on the GPU.

Paper: Table 2, 77.85 % top-1, 93.57 % top-5 (hard label: 76.30, 93.05).
Command: tools/dist_train.sh configs/ips/resnet50_ips_in1k-device.py 8
On one GPU: python tools/train.py configs/ips/resnet50_ips_in1k-device.py --auto-scale-lr
Cost: as resnet50_ips_in1k.py: 100 epochs x 2,562,334 images.
Differs from it as resnet50_hard_in1k-device.py does from its own.
"""
_base_ = 'resnet50_ips_in1k.py'

from mmips.config.device_path import on_device

globals().update(on_device(_base_))
