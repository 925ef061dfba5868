"""BYOT as its authors trained it, ResNet-18 on CIFAR-100.

Paper: none for this recipe; Zhang et al. report the checkpoint that is best by the ensemble of all
exits on the test set.
Command: python tools/train.py configs/baselines/byot/resnet18_byot-authors_cifar100.py
Cost: 250 epochs x 50,000 images = 12.5 M images seen; 128 a step, 391 steps an epoch.
Differs from the authors: no AutoAugment (mmpretrain has no policy for CIFAR), and the exits. From
resnet18_byot_cifar100.py: epochs, lr 0.1, its cuts, images a step, CutOut of 16 pixels, and no
feature term at the third exit.
"""
_base_ = 'resnet18_byot_cifar100.py'

model = dict(feature_exits=2, train_cfg=dict(augments=[dict(type='mmips.CutOut', length=16)]))
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = dict(milestones=[83, 166, 240])
train_cfg = dict(max_epochs=250)
auto_scale_lr = dict(base_batch_size=128)
