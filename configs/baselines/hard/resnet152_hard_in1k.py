"""Hard label, ResNet-152 on ImageNet: the teacher of Table 2's KD.

Paper: Table 2, 77.49 % top-1.
Command: tools/dist_train.sh configs/baselines/hard/resnet152_hard_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images = 256 a step.
Differs from the paper: it states no recipe of its teacher; this is ResNet-50's (inferred).
All else as in configs/ips/resnet50_hard_in1k.py.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(backbone=dict(depth=152))
