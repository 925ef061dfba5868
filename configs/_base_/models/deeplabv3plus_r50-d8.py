# mmseg's DeepLabV3+ on a plain ResNet-50 from a classification checkpoint.
_base_ = [__import__('mmips').base('mmseg::_base_/models/deeplabv3plus_r50-d8.py')]

model = dict(
    # The base's checkpoint; mmseg asserts that it is not set beside init_cfg.
    pretrained=None,
    backbone=dict(
        # The base's ResNetV1c has another stem, which no ResNet-50 checkpoint fills.
        type='ResNet',
        # The toolboxes' defaults differ.
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='work_dirs/resnet50_ips-4x4_in1k/epoch_100.pth',
            prefix='backbone.')))
