"""USKD by its authors' recipe, ResNet-18 on CIFAR-100.

Paper: none.
Command: python tools/train.py configs/baselines/uskd/resnet18_uskd-authors_cifar100.py
Cost: 200 epochs x 50,000 images = 10 M images seen; 391 steps an epoch on one GPU.
Authors' recipe: 200 epochs, 128 images a step, lr 0.1 cut to a fifth at 60, 120 and 160, weight
decay 5e-4, no Nesterov; ranks as in their code.
All else as in resnet18_uskd_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    backbone=dict(out_indices=(2, 3)),
    distill=dict(
        type='mmips.USKDLoss', in_channels=256, num_classes=100, alpha=0.1,
        beta=0.1, mu=0.1, ranking='code'))
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(milestones=[60, 120, 160], gamma=0.2)
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(base_batch_size=128)
