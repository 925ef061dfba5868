"""OLS, online label smoothing, ResNet-50 on ImageNet.

Paper: none.
Command: tools/dist_train.sh configs/baselines/ols/resnet50_ols_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images = 256 a step.
Differs from the authors' training: this is the IPS paper's, 100 epochs cut at 30, 60 and 90.
All else as in configs/ips/resnet50_hard_in1k.py.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(
    type='mmips.DistillClassifier',
    target=dict(type='mmips.OnlineLabelSmoothing', hard_weight=0.5))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.MemoryHook')]
