"""TF-KD, the regularisation, ResNet-34 from scratch on Stanford Dogs.

Paper: Table 5, 69.78 % top-1 (hard label: 68.90 %).
Command: python tools/train.py configs/baselines/tfkd/resnet34_tfkd_dogs.py
Cost: 200 epochs x 12,000 images; 32 a step on one GPU.
Differs from the paper: it states no setting; alpha 0.1 and T 20 as on CIFAR-100 (inferred).
All else as in configs/ips/resnet34_hard_dogs.py.
"""
_base_ = '../../ips/resnet34_hard_dogs.py'

model = dict(
    type='mmips.DistillClassifier',
    gamma=0.9,
    alpha=0.1,
    distill=dict(type='mmips.VirtualTeacherLoss', temperature=20))
