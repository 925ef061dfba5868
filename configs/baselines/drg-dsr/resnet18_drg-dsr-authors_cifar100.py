"""DRG and DSR (LightSKD) by the authors' recipe, ResNet-18 on CIFAR-100.

Paper: none that was checked; recipe from the authors' code.
Command: python tools/train.py configs/baselines/drg-dsr/resnet18_drg-dsr-authors_cifar100.py
Cost: 200 epochs x 50,000 images = 10 M images seen; 128 a step, 391 steps an epoch.
Differs from resnet18_drg-dsr_cifar100.py: epochs, lr 0.1 cut tenfold at 60, 120 and 160 (another
script of theirs divides by five), images a step.
"""
_base_ = 'resnet18_drg-dsr_cifar100.py'

train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = dict(milestones=[60, 120, 160])
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(base_batch_size=128)
