# cifar100_bs64.py with all images on the training device: crop, flip and normalisation of whole
# batches there, no workers. MMIPS_NPZ names a .npz file to read in place of CIFAR's own files.
_base_ = 'cifar100_bs64.py'

import os

npz_file = os.environ.get('MMIPS_NPZ')


def images(split):
    """The data set behind ``mmips.ImagesOnDevice``."""
    if npz_file:
        return dict(type='mmips.ArrayDataset', ann_file=npz_file, split=split)
    return dict(type='CIFAR100', data_root='data/cifar100', split=split)


loader = dict(
    num_workers=0,
    pin_memory=False,
    persistent_workers=False,
    collate_fn=dict(type='mmips.whole_batch'))
train_dataloader = dict(
    dataset=dict(_delete_=True, type='mmips.ImagesOnDevice', dataset=images('train')), **loader)
val_dataloader = dict(
    batch_size=1000,
    dataset=dict(_delete_=True, type='mmips.ImagesOnDevice', dataset=images('test')),
    **loader)
test_dataloader = val_dataloader
data_preprocessor = dict(type='mmips.BatchDataPreprocessor', crop_padding=4, flip_prob=0.5)
