"""PS-KD, ResNet-50 on ImageNet.

Paper: none for ResNet-50; PS-KD's own 21.41 % error is a ResNet-152's.
Command: tools/dist_train.sh configs/baselines/pskd/resnet50_pskd_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images = 256 a step; 5.1 GB remembered, twice in
several processes, on each.
All else as in configs/ips/resnet50_hard_in1k.py.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(
    type='mmips.DistillClassifier',
    target=dict(type='mmips.ProgressiveTarget', alpha=0.8))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.MemoryHook')]
