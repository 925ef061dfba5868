"""IPS on a small backbone to transfer to segmentation and detection, on a CPU if need be.

Pretrains what configs/seg/deeplabv3plus_r18-w16_ips_camvid.py and
configs/det/ssd300_r18-w16_ips_bccd.py take; tools/compare_transfer.py runs it all. File and
subset as in ``resnet-s_hard_npz.py``. Not an experiment of the paper.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet18-w16_ips_npz.py
Cost: 30 epochs x 2N images, as many as 60 epochs of hard label, 64 (32 pairs) a step.
"""
_base_ = 'resnet18-w16_hard_npz.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(
    sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
param_scheduler = dict(milestones=[19, 22, 26])
train_cfg = dict(max_epochs=30, val_interval=10)
default_hooks = dict(checkpoint=dict(interval=10))
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
