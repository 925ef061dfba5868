"""MixSKD as its authors trained it, ResNet-18 on CIFAR-100.

Paper: 80.32 % top-1 in the authors' code, the best of four exits and of all epochs on the test set,
without ``loss_mix_ce`` and with frozen discriminators: --cfg-options model.mix_ce=False
model.train_discriminator=False. As it stands here both are trained.
Command: python tools/train.py configs/baselines/mixskd/resnet18_mixskd-authors_cifar100.py
Cost: 205 epochs x 50,000 images and as many mixes = 20.5 M images seen; 782 steps an epoch.
Differs from the authors: their stem has no ReLU. From resnet18_mixskd_cifar100.py: epochs, lr 0.1
and its cuts, Nesterov's momentum.
"""
_base_ = 'resnet18_mixskd_cifar100.py'

optim_wrapper = dict(optimizer=dict(lr=0.1, nesterov=True))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(type='MultiStepLR', by_epoch=True, milestones=[105, 155], gamma=0.1),
]
train_cfg = dict(max_epochs=205)
