# 32x32 images of one .npz file, with the crop, flip and normalisation of mmpretrain's
# CIFAR-100. The number of classes comes from the file, hence while the config is parsed.
_base_ = 'mmpretrain::_base_/datasets/cifar100_bs16.py'

import os

from mmips.datasets import count_npz_classes


def limit(name):
    """A number of the environment; None for 0, or where there is none."""
    value = os.environ.get(name) or '0'
    if not value.isdecimal():
        raise ValueError(f'{name} must be a whole number, or 0 for no limit, got {value!r}.')
    return int(value) or None


npz_file = os.environ.get('MMIPS_NPZ') or 'data/cifar100.npz'
max_classes = limit('MMIPS_MAX_CLASSES')
per_class = limit('MMIPS_PER_CLASS')
num_classes = count_npz_classes(npz_file, max_classes)
data_preprocessor = dict(num_classes=num_classes)
# The images are in memory: without workers a small network loses no time.
loader = dict(
    num_workers=0, persistent_workers=False, collate_fn=dict(type='default_collate'))
train_dataloader = dict(
    batch_size=64,
    worker_init_fn=dict(type='mmips.seed_worker'),
    dataset=dict(
        _delete_=True,
        type='mmips.ArrayDataset',
        ann_file=npz_file,
        split='train',
        max_classes=max_classes,
        per_class=per_class,
        pipeline=_base_.train_pipeline),
    **loader)
val_dataloader = dict(
    batch_size=256,
    dataset=dict(
        _delete_=True,
        type='mmips.ArrayDataset',
        ann_file=npz_file,
        split='test',
        max_classes=max_classes,
        pipeline=_base_.test_pipeline),
    **loader)
test_dataloader = val_dataloader
