"""Hard label on small images from any ``.npz`` file: the twin of all methods of this network.

MMIPS_NPZ, MMIPS_MAX_CLASSES and MMIPS_PER_CLASS as in ``configs/ips/resnet-s_hard_npz.py``. The
training images that MMIPS_PER_CLASS leaves out are tested on beside the test images, which
makes the test five times as large for CIFAR-100's 500 images a class and 100 of them.

Paper: none.
Command: python tools/train.py configs/baselines/hard/resnet18-s_hard_npz.py
Cost: 120 epochs x N images, 64 a step, in whole batches on the device.
"""
_base_ = [
    '../../_base_/models/resnet18-s.py',
    '../../_base_/datasets/npz.py',
    '../../_base_/schedules/npz_120e.py',
    '../../_base_/seeded_runtime.py',
]

from mmips.config.device_path import on_device

if _base_.per_class:
    _base_.val_dataloader.dataset = dict(type='ConcatDataset', datasets=[
        _base_.val_dataloader.dataset,
        dict(_base_.train_dataloader.dataset, rest=True, pipeline=_base_.test_pipeline)])
    _base_.test_dataloader = _base_.val_dataloader
globals().update(on_device(_base_))
model = dict(head=dict(num_classes=_base_.num_classes))
default_hooks.update(logger=dict(interval=100), checkpoint=dict(interval=30, max_keep_ckpts=1))
