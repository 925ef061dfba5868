# scikit-learn's bundled handwritten digits at 16x16, 10 labelled images per class.
# Shifts of up to 2 pixels are all the augmentation: a mirrored digit is no digit.
data_preprocessor = dict(
    num_classes=10, mean=[77.9] * 3, std=[95.9] * 3, to_rgb=False)

train_pipeline = [
    dict(type='RandomCrop', crop_size=16, padding=2),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='PackInputs')]

# Loading from memory is quicker without workers.
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    persistent_workers=False,
    worker_init_fn=dict(type='mmips.seed_worker'),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='mmips.DigitsDataset', split='train', pipeline=train_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    batch_size=256,
    num_workers=0,
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='mmips.DigitsDataset', split='test', pipeline=test_pipeline),
    sampler=dict(type='DefaultSampler', shuffle=False))
val_evaluator = dict(type='Accuracy', topk=(1, ))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
