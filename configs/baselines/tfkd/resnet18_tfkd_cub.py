"""TF-KD, the regularisation, ResNet-18 from scratch on CUB-200.

Paper: Table 5, 58.28 % top-1 (hard label: 57.76 %).
Command: python tools/train.py configs/baselines/tfkd/resnet18_tfkd_cub.py
Cost: 200 epochs x 5,994 images; 32 a step on one GPU.
Differs from the paper: it states no setting; alpha 0.1 and T 20 as on CIFAR-100 (inferred).
All else as in configs/ips/resnet18_hard_cub.py.
"""
_base_ = '../../ips/resnet18_hard_cub.py'

model = dict(
    type='mmips.DistillClassifier',
    gamma=0.9,
    alpha=0.1,
    distill=dict(type='mmips.VirtualTeacherLoss', temperature=20))
