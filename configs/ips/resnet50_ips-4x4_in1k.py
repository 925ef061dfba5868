"""IPS with a 4x4 grid, ResNet-50 on ImageNet.

Paper: Table 2, 77.59 % top-1, 93.56 % top-5. Its segmentation and detection
backbones are this one (Tables 6, 8 and 9), though 2x2 scores higher here.
Command: tools/dist_train.sh configs/ips/resnet50_ips-4x4_in1k.py 8
Cost and all else: as in resnet50_ips_in1k.py. That 4x4 counts cells is inferred.
"""
_base_ = 'resnet50_ips_in1k.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
