"""CS-KD, ResNet-18 on CIFAR-100: another image of the class teaches, which itself learns nothing.

Paper: Table 3, 78.85 % top-1 (hard label: 77.92 %); Yun et al., CVPR 2020, Eq. 2.
Command: python tools/train.py configs/baselines/cs-kd/resnet18_cs-kd_cifar100.py
Another network, for example ResNet-34: --cfg-options model.backbone.depth=34
Cost: 240 epochs x 100,000 images = 24 M images seen, of which half go backwards too; 64 pairs a
step, 782 steps an epoch.
Differs from the paper: the IPS paper's one recipe; T and weight are the authors'. Their partner is
drawn from the whole class, now and then the image itself; here it is always another image.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.PairKLLoss', temperature=4., detach='partner', symmetric=False),
    joint_forward=False,
    partner_grad=False,
    ce_on='query')
train_dataloader = dict(
    batch_size=128, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=128)
