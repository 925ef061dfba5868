# RUGD, the six coarse classes of the IPS paper; docs/rugd.md says how to get and convert it.
#
# The paper states: batch 8, 176k iterations, six classes. The sizes of crops and frames are lost
# from its text. Inferred, from GA-Nav, whose protocol it follows: crops of 300x375 (height,
# width), resizing by 0.5 to 2 around 688x550, one class fills three quarters of a crop at most,
# flips and colour jitter.
# Unknown: its images for training and testing (here: the published split), and the size it tests
# at (here: the whole frame; GA-Nav shrinks frames to 375x300).
#
# Half of 688x550 is lower than the crop, so a model needs
# data_preprocessor=dict(size=crop_size, pad_val=0, seg_pad_val=255).
_base_ = 'seg_tta.py'

dataset_type = 'mmips.RUGDDataset'
data_root = 'data/rugd'
crop_size = (300, 375)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(688, 550), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        level='coarse',
        split='train',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        level='coarse',
        split='val',
        pipeline=test_pipeline))
test_dataloader = {**val_dataloader, 'dataset': {**val_dataloader['dataset'], 'split': 'test'}}

val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
