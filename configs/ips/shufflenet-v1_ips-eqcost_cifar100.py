"""IPS at the cost of hard label, constant swap probability, ShuffleNetV1 on CIFAR-100.

Paper: none; the comparison at an equal number of images that it does not make.
Command: python tools/train.py configs/ips/shufflenet-v1_ips-eqcost_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen, as hard label; every epoch is a
fresh random matching inside each class, 32 pairs (64 images) a step.
All else as in shufflenet-v1_ips_cifar100.py.
"""
_base_ = 'shufflenet-v1_ips_cifar100.py'

train_dataloader = dict(batch_size=64, sampler=dict(epoch='images'))
auto_scale_lr = dict(base_batch_size=64)
