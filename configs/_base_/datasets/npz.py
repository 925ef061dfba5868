# 32x32 images of one .npz file, with the crop, flip and normalisation of mmpretrain's
# CIFAR-100. The number of classes comes from the file, hence while the config is parsed.
_base_ = 'mmpretrain::_base_/datasets/cifar100_bs16.py'

import os.path as osp

import numpy as np

npz_file = '{{$MMIPS_NPZ:data/cifar100.npz}}'
max_classes = int('{{$MMIPS_MAX_CLASSES:0}}') or None
per_class = int('{{$MMIPS_PER_CLASS:0}}') or None


def count_classes(path, limit):
    """Number of classes of the training labels in ``path``, at most ``limit``."""
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'{osp.abspath(path)} does not exist. Set MMIPS_NPZ to a .npz file with images_train '
            '(N, 32, 32, 3) uint8 RGB, labels_train (N,), images_test and labels_test.')
    with np.load(path) as arrays:
        if 'labels_train' not in arrays.files:
            raise KeyError(f'{path} has no array labels_train, only {sorted(arrays.files)}.')
        number = int(arrays['labels_train'].max()) + 1
    return min(number, limit or number)


num_classes = count_classes(npz_file, max_classes)
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
