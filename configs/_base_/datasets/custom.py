# A user's own folder of images at 224 pixels. Classes are its class folders, looked up
# while the config is parsed: the head must know their number before any option is read.
_base_ = 'mmpretrain::_base_/datasets/imagenet_bs32.py'

import os

from mmips.datasets import find_classes

# Not mmengine's own way to read the environment, which pastes a path into the text of this file.
data_root = os.environ.get('MMIPS_DATA') or 'data/custom'
classes = find_classes(data_root)

data_preprocessor = dict(num_classes=len(classes))
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=False,
    worker_init_fn=dict(type='mmips.seed_worker'),
    dataset=dict(
        _delete_=True,
        type='mmips.ImageFolder',
        data_root=data_root,
        split='train',
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=4,
    dataset=dict(
        _delete_=True,
        type='mmips.ImageFolder',
        data_root=data_root,
        split='val',
        pipeline=_base_.test_pipeline))
val_evaluator = dict(topk=(1, ))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
