"""Hard label under label noise, ResNet-18 on CIFAR-100.

Paper: Table 14, 68.72 % top-1 at 20 % noise.
The whole column, for 0, 20, 40 and 80 % noise: 77.92, 68.72, 63.47, 32.81.
Command: python tools/train.py configs/ips/resnet18_hard_cifar100-noise.py
Another rate: --cfg-options train_dataloader.dataset.rate=0.4
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU.
Differs from the paper: nothing known. Stated: the rates, of training labels alone. Inferred:
exactly this share of each class, flipped uniformly to another class, drawn once, for all seeds
of the training (train_dataloader.dataset.seed=1 draws other wrong labels).
All else as in resnet18_hard_cifar100.py.
"""
_base_ = 'resnet18_hard_cifar100.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmips.NoisyLabelDataset',
        rate=0.2,
        dataset=_base_.train_dataloader.dataset))
