"""Zipf's label smoothing, ResNet-50 on ImageNet.

Paper: Table 2, 77.25 % top-1 (hard label: 76.30 %).
Command: tools/dist_train.sh configs/baselines/zipf/resnet50_zipf_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images = 256 a step.
Differs from the paper: nothing known. Votes of the 7 x 7 locations of the last map.
All else as in configs/ips/resnet50_hard_in1k.py.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(type='mmips.DistillClassifier', alpha=0.1, distill=dict(type='mmips.ZipfLoss'))
