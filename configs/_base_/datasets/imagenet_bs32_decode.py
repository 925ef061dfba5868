# mmpretrain's imagenet_bs32.py with its decoding, crops and flips on the training device: workers
# read the files, and no more.
_base_ = 'mmpretrain::_base_/datasets/imagenet_bs32.py'


def files(split):
    """The image files of a split."""
    return dict(
        _delete_=True,
        type='mmips.EncodedImages',
        dataset=dict(type='ImageNet', data_root='data/imagenet', split=split))


train_dataloader = dict(
    persistent_workers=False,
    worker_init_fn=dict(type='mmips.seed_worker'),
    collate_fn=dict(type='mmips.whole_batch'),
    dataset=files('train'))
val_dataloader = dict(collate_fn=dict(type='mmips.whole_batch'), dataset=files('val'))
test_dataloader = val_dataloader
data_preprocessor = dict(
    type='mmips.DecodeDataPreprocessor', scale=224, flip_prob=0.5, resize_edge=256, crop_size=224)
