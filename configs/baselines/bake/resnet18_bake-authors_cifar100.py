"""BAKE as its authors trained it, ResNet-18 on CIFAR-100.

Paper: none for this network: Ge et al. have a pre-activation ResNet-18, and report the best epoch
on the test set. Recipe from their code.
Command: python tools/train.py configs/baselines/bake/resnet18_bake-authors_cifar100.py
Cost: 200 epochs x 200,000 images = 40 M images seen; 32 groups of four a step, 1,563 steps an
epoch.
Differs from resnet18_bake_cifar100.py: epochs, lr 0.1 and its cuts, weight decay 1e-4, 32 groups.
"""
_base_ = 'resnet18_bake_cifar100.py'

train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=1e-4))
param_scheduler = dict(milestones=[100, 150])
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(base_batch_size=128)
