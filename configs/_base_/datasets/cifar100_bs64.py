# mmpretrain's CIFAR-100 (RandomCrop 32 with 4 pixels of padding, flip), 64 images a step.
# MMIPS_CIFAR100_NPZ names a .npz file that holds it, to be read in place of CIFAR's own files.
_base_ = 'mmpretrain::_base_/datasets/cifar100_bs16.py'

import os

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=False,
    worker_init_fn=dict(type='mmips.seed_worker'))
val_dataloader = dict(batch_size=256)
test_dataloader = dict(batch_size=256)
val_evaluator = dict(topk=(1, 5))
test_evaluator = dict(topk=(1, 5))
if npz_file := os.environ.get('MMIPS_CIFAR100_NPZ'):
    for loader, split in ((train_dataloader, 'train'), (val_dataloader, 'test'),
                          (test_dataloader, 'test')):
        loader['dataset'] = dict(
            _delete_=True, type='mmips.ArrayDataset', ann_file=npz_file, split=split,
            pipeline=_base_.train_pipeline if split == 'train' else _base_.test_pipeline)
    del loader, split
del npz_file
