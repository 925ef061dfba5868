"""TF-KD, the regularisation, ResNet-34 from scratch on CUB-200.

Paper: Table 5, 61.88 % top-1 (hard label: 59.79 %).
Command: python tools/train.py configs/baselines/tfkd/resnet34_tfkd_cub.py
Cost: 200 epochs x 5,994 images; 32 a step on one GPU.
Differs from the paper: it states no setting; alpha 0.1 and T 20 as on CIFAR-100 (inferred).
All else as in configs/ips/resnet34_hard_cub.py.
"""
_base_ = '../../ips/resnet34_hard_cub.py'

model = dict(
    type='mmips.DistillClassifier',
    gamma=0.9,
    alpha=0.1,
    distill=dict(type='mmips.VirtualTeacherLoss', temperature=20))
