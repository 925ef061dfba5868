# mmseg's VOC2012 with the SBD annotations, in epochs and in crops of 513 pixels.
#
# Training crops and mirrors as the public DeepLabV3+ does whose settings the paper names: scales
# of 0.5 to 2, no colour jitter; without its slight Gaussian blur, which mmseg has not. That one
# tests on the central 513x513 of an image; here it is the whole image, as in mmseg, with whose
# numbers users compare (docs/transfer.md).
_base_ = [__import__('mmips').base('mmseg::_base_/datasets/pascal_voc12_aug.py')]

crop_size = (513, 513)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(2052, 513), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2052, 513), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
# The base's scales and flips, of what a test sees: it would start from the image's own size.
tta_pipeline = [_base_.tta_pipeline[0], test_pipeline[1], _base_.tta_pipeline[1]]
train_dataloader = dict(
    # One GPU: the batch of 16 that the recipe is inferred from.
    batch_size=16,
    num_workers=8,
    persistent_workers=False,
    worker_init_fn=dict(type='mmips.seed_worker'),
    # The base's sampler has no end, and no epoch either.
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(datasets=[
        {**_base_.dataset_train, 'pipeline': train_pipeline},
        {**_base_.dataset_aug, 'pipeline': train_pipeline},
    ]))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
