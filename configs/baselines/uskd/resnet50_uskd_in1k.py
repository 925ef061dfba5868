"""USKD, ResNet-50 on ImageNet.

Paper: 77.07 % top-1 in USKD's own (not in the IPS paper).
Command: tools/dist_train.sh configs/baselines/uskd/resnet50_uskd_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images = 256 a step; a linear layer of 1 M
parameters beside.
Ranks as in the authors' code, from which the number came.
All else as in configs/ips/resnet50_hard_in1k.py.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(
    type='mmips.DistillClassifier',
    backbone=dict(out_indices=(2, 3)),
    distill=dict(
        type='mmips.USKDLoss', in_channels=1024, num_classes=1000, alpha=1,
        beta=0.1, mu=0.005, ranking='code'))
