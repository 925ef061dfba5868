"""CS-KD, ResNet-18 from scratch on CUB-200.

Paper: the IPS paper's Table 5, 68.27 % top-1 (hard label: 57.76 %).
Command: python tools/train.py configs/baselines/cs-kd/resnet18_cs-kd_cub.py
Cost: 200 epochs x 11,988 images (2N), half of them forwards alone; 32 pairs = 64 images a step.
The KL's weight is 3, as the authors have it for this set.
Differs from the paper: as configs/ips/resnet18_hard_cub.py.
"""
_base_ = '../../ips/resnet18_hard_cub.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    alpha=3.,
    distill=dict(type='mmips.PairKLLoss', temperature=4., detach='partner', symmetric=False),
    joint_forward=False,
    partner_grad=False,
    ce_on='query')
train_dataloader = dict(
    batch_size=64, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=64)
