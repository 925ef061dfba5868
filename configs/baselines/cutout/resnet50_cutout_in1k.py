"""CutOut alone, ResNet-50 on ImageNet.

Paper: Table 2, 77.07 % top-1, 93.34 % top-5 (hard label: 76.30, 93.05).
Command: tools/dist_train.sh configs/baselines/cutout/resnet50_cutout_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images = 256 a step.
Differs from the paper: a footnote of this row is lost from its text. Its two numbers are those that
the CutMix paper (arXiv 1905.04899) has for CutOut after 300 epochs; 100 epochs here, as of all
methods. A square of 112 of 224 pixels is inferred.
All else as in configs/ips/resnet50_hard_in1k.py.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(train_cfg=dict(augments=[dict(type='mmips.CutOut', length=112)]))
