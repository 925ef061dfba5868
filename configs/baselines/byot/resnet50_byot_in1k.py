"""BYOT, ResNet-50 on ImageNet.

Paper: the IPS paper's Table 2, 76.96 % top-1 (hard label: 76.30 %).
Command: tools/dist_train.sh configs/baselines/byot/resnet50_byot_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images a step, 5,005 steps an epoch, each image
through three further exits.
Differs from the paper: nothing known; it does not say which exits and weights it took.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(type='mmips.BeYourOwnTeacherClassifier', backbone=dict(out_indices=(0, 1, 2, 3)))
