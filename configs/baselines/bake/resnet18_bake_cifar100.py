"""BAKE, ResNet-18 on CIFAR-100: predictions spread between similar images of a batch.

Paper: none for this recipe; Ge et al., arXiv 2104.13298.
Command: python tools/train.py configs/baselines/bake/resnet18_bake_cifar100.py
Another network, for example ResNet-34: --cfg-options model.backbone.depth=34
Cost: 240 epochs x 200,000 images (every image with three others of its class) = 48 M images seen,
twice IPS's; 64 groups of four a step, 782 steps an epoch.
Differs from the paper: the IPS paper's one recipe, in which it has no BAKE.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier', distill=dict(type='mmips.BAKELoss', omega=0.5, temperature=4.))
train_dataloader = dict(
    batch_size=256,
    sampler=dict(_delete_=True, type='mmips.GroupedClassSampler', num_partners=3))
auto_scale_lr = dict(base_batch_size=256)
