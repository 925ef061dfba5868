# mmdet's SSD300 on the first three stages of a plain ResNet-50 from a classification checkpoint.
_base_ = 'mmdet::_base_/models/ssd300.py'

model = dict(
    # The base's std of 1 belongs to its caffe-style VGG.
    data_preprocessor=dict(std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=50,
        # 512 x 38 x 38 and 1024 x 19 x 19, the two maps that SSDNeck takes: the 8,732
        # anchors of the original. A fourth stage would get no gradient.
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(1, 2),
        # All of it learns, normalisation too: 32 images a step are enough for that, and the
        # toolboxes' defaults differ (inferred).
        frozen_stages=-1,
        norm_eval=False,
        norm_cfg=dict(type='BN', requires_grad=True),
        style='pytorch',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/resnet50_ips-4x4_in1k/epoch_100.pth',
            prefix='backbone.')),
    # mmdet's own dies at the first validation.
    bbox_head=dict(type='mmips.SSDHead'))
