"""CS-KD, ResNet-34 from scratch on Stanford Dogs.

Paper: the IPS paper's Table 5, 70.82 % top-1 (hard label: 68.90 %).
Command: python tools/train.py configs/baselines/cs-kd/resnet34_cs-kd_dogs.py
Cost: 200 epochs x 24,000 images (2N), half of them forwards alone; 32 pairs = 64 images a step.
The KL's weight is 1, as the authors have it for this set.
Differs from the paper: as configs/ips/resnet34_hard_dogs.py.
"""
_base_ = '../../ips/resnet34_hard_dogs.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.PairKLLoss', temperature=4., detach='partner', symmetric=False),
    joint_forward=False,
    partner_grad=False,
    ce_on='query')
train_dataloader = dict(
    batch_size=64, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=64)
