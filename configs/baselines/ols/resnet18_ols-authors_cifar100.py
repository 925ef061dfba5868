"""OLS by its authors' recipe, ResNet-18 on CIFAR-100.

Paper: none.
Command: python tools/train.py configs/baselines/ols/resnet18_ols-authors_cifar100.py
Cost: 300 epochs x 50,000 images = 15 M images seen; 391 steps an epoch on one GPU.
Authors' recipe: 300 epochs, 128 images a step, lr 0.1 cut tenfold at 150 and 225, Nesterov,
weight decay 5e-4.
All else as in resnet18_ols_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    target=dict(type='mmips.OnlineLabelSmoothing', hard_weight=0.5))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.MemoryHook')]
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True))
param_scheduler = dict(milestones=[150, 225])
train_cfg = dict(max_epochs=300)
auto_scale_lr = dict(base_batch_size=128)
