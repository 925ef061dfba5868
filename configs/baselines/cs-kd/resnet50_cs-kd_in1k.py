"""CS-KD, ResNet-50 on ImageNet.

Paper: the IPS paper's Table 2, 76.78 % top-1 (hard label: 76.30 %).
Command: tools/dist_train.sh configs/baselines/cs-kd/resnet50_cs-kd_in1k.py 8
Cost: 100 epochs x 2,562,334 images (2N), half of them forwards alone; 8 GPUs x 64 images (32
pairs) a step, 5,005 steps an epoch.
Differs from the paper: nothing known; T 4 and weight 1 are CS-KD's own for CIFAR-100.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.PairKLLoss', temperature=4., detach='partner', symmetric=False),
    joint_forward=False,
    partner_grad=False,
    ce_on='query')
train_dataloader = dict(
    batch_size=64, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=512)
