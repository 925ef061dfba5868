# A ResNet-18 of a quarter of the usual width (0.7 M parameters): small enough to train on a
# CPU, and with the stem and the stages that segmentation and detection expect.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=4,
        stem_channels=16,
        base_channels=16,
        out_indices=(3, ),
        style='pytorch',
        zero_init_residual=False),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=100,
        in_channels=128,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0)))
