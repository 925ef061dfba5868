"""TF-KD, the regularisation, ResNet-18 from scratch on Stanford Dogs.

Paper: Table 5, 66.23 % top-1 (hard label: 66.14 %).
Command: python tools/train.py configs/baselines/tfkd/resnet18_tfkd_dogs.py
Cost: 200 epochs x 12,000 images; 32 a step on one GPU.
Differs from the paper: it states no setting; alpha 0.1 and T 20 as on CIFAR-100 (inferred).
All else as in configs/ips/resnet18_hard_dogs.py.
"""
_base_ = '../../ips/resnet18_hard_dogs.py'

model = dict(
    type='mmips.DistillClassifier',
    gamma=0.9,
    alpha=0.1,
    distill=dict(type='mmips.VirtualTeacherLoss', temperature=20))
