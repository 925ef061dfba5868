"""CS-KD, ResNet-18 from scratch on Stanford Dogs.

Paper: the IPS paper's Table 5, 68.99 % top-1 (hard label: 66.14 %).
Command: python tools/train.py configs/baselines/cs-kd/resnet18_cs-kd_dogs.py
Cost: 200 epochs x 24,000 images (2N), half of them forwards alone; 32 pairs = 64 images a step.
The KL's weight is 1, as the authors have it for this set.
Differs from the paper: as configs/ips/resnet18_hard_dogs.py.
"""
_base_ = '../../ips/resnet18_hard_dogs.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.PairKLLoss', temperature=4., detach='partner', symmetric=False),
    joint_forward=False,
    partner_grad=False,
    ce_on='query')
train_dataloader = dict(
    batch_size=64, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=64)
