"""CS-KD as its authors trained it, ResNet-18 on CIFAR-100.

Paper: none for this network: Yun et al. (CVPR 2020) have a pre-activation ResNet-18, and report
the best epoch on the test set. Recipe from their code.
Command: python tools/train.py configs/baselines/cs-kd/resnet18_cs-kd-authors_cifar100.py
Cost: 200 epochs x 100,000 images = 20 M images seen; 128 pairs a step, 391 steps an epoch.
Differs from resnet18_cs-kd_cifar100.py: epochs, lr 0.1 cut tenfold at 100 and 150, weight decay
1e-4, 128 pairs a step.
"""
_base_ = 'resnet18_cs-kd_cifar100.py'

train_dataloader = dict(batch_size=256)
optim_wrapper = dict(optimizer=dict(lr=0.1, weight_decay=1e-4))
param_scheduler = dict(milestones=[100, 150])
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(base_batch_size=256)
