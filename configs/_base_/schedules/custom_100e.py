# 100 epochs of SGD with a warm-up of 5 and a cosine: a fair start for a data set of
# unknown size. lr is ImageNet's 0.1 for 256 images a step, brought down to 32.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.0125, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(
        type='LinearLR',
        start_factor=0.01,
        by_epoch=True,
        end=5,
        convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=5),
]

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=32)
