# VGG13 with batch norm for 32x32 images: pools after blocks 1 to 3 only, then global
# average pooling and one linear layer (mmpretrain's VGG pools five times).
model = dict(
    type='ImageClassifier',
    backbone=dict(type='mmips.VGG_CIFAR', depth=13),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=512,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0)))
