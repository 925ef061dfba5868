"""Hard label at the number of images that IPS sees, ResNet-18 on CIFAR-100.

Paper: none; what IPS gains by seeing every image twice an epoch, in as many steps.
Command: python tools/train.py configs/baselines/hard-2n/resnet18_hard-2n_cifar100.py
Cost: 240 epochs x 100,000 images = 24 M images seen; 128 a step, 782 steps an epoch.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

train_dataloader = dict(
    batch_size=128,
    dataset=dict(_delete_=True, type='RepeatDataset', times=2,
                 dataset=_base_.train_dataloader.dataset))
auto_scale_lr = dict(base_batch_size=128)
