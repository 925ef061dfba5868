# mmseg's Cityscapes in epochs, at a short side of 513 pixels and in crops of 513. Training and
# testing as in voc12aug_513.py, which says where they follow the recipe.
_base_ = [__import__('mmips').base('mmseg::_base_/datasets/cityscapes.py')]

crop_size = (513, 513)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(1026, 513), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1026, 513), keep_ratio=True),
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
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
