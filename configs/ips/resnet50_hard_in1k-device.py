"""Hard label, ResNet-50 on ImageNet, decoded on the GPU.

Paper: Table 2, 76.30 % top-1, 93.05 % top-5.
Command: tools/dist_train.sh configs/ips/resnet50_hard_in1k-device.py 8
Cost: as resnet50_hard_in1k.py: 100 epochs x 1,281,167 images.
Differs from it: workers read files alone; decoding, crops and flips are on the device. A pixel
differs by the rounding of the resize, and by the decoders: nvJPEG and OpenCV's libjpeg.
"""
_base_ = 'resnet50_hard_in1k.py'

from mmips.config.device_path import on_device

globals().update(on_device(_base_))
