"""Zipf's label smoothing by its authors' recipe, ResNet-18 on CIFAR-100.

Paper: none; the authors have a pre-activation ResNet-18.
Command: python tools/train.py configs/baselines/zipf/resnet18_zipf-authors_cifar100.py
Cost: 200 epochs x 50,000 images = 10 M images seen; 391 steps an epoch on one GPU.
Authors' recipe: 200 epochs, 128 images a step, lr 0.1 cut tenfold at 100 and 150, weight decay
1e-4, no Nesterov.
All else as in resnet18_zipf_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    alpha=0.1,
    distill=dict(type='mmips.ZipfLoss', upsample=2))
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
param_scheduler = dict(milestones=[100, 150])
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(base_batch_size=128)
