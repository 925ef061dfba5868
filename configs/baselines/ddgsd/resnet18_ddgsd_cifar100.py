"""DDGSD, ResNet-18 on CIFAR-100: two views of one image agree.

Paper: Table 3, 79.32 % top-1 (hard label: 77.92 %); Xu and Liu, AAAI 2019.
Command: python tools/train.py configs/baselines/ddgsd/resnet18_ddgsd_cifar100.py
Another network, for example ResNet-34: --cfg-options model.backbone.depth=34
Cost: 240 epochs x 100,000 images = 24 M images seen; 64 images twice a step, 782 steps an epoch.
Differs from the paper: the IPS paper's one recipe; T 3 and the weights 1 and 5e-4 are a third
party's. The authors have published no code, hence no recipe of theirs beside this one.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

# gamma: cross entropy is summed over the two views.
model = dict(
    type='mmips.SelfDistillClassifier', distill=dict(type='mmips.DDGSDLoss'), gamma=2.)
train_dataloader = dict(
    batch_size=128,
    sampler=dict(type='mmips.PairedClassSampler', partner='self', epoch='queries'))
auto_scale_lr = dict(base_batch_size=128)
