"""DisturbLabel, ResNet-50 on ImageNet.

Paper: Table 2, 76.41 % top-1 (hard label: 76.30 %).
Command: tools/dist_train.sh configs/baselines/disturb/resnet50_disturb_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images = 256 a step.
Differs from the paper: nothing known. Unknown: alpha (0.1, its own paper's).
All else as in configs/ips/resnet50_hard_in1k.py.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(train_cfg=dict(augments=[dict(type='mmips.DisturbLabel', alpha=0.1)]))
