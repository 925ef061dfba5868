"""IPS on small images from any ``.npz`` file, each image once an epoch.

As ``resnet-s_ips_npz.py``, but every epoch is a fresh matching inside each class
(N images), so schedule, epochs and steps are the hard-label twin's own.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet-s_ips-eqcost_npz.py
Cost: 120 epochs x N images, as many as hard label.
"""
_base_ = 'resnet-s_ips_npz.py'

train_dataloader = dict(sampler=dict(epoch='images'))
param_scheduler = dict(milestones=[75, 90, 105])
train_cfg = dict(max_epochs=120, val_interval=30)
default_hooks = dict(checkpoint=dict(interval=30))
