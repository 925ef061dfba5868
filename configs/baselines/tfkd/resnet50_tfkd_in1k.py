"""TF-KD, the regularisation, ResNet-50 on ImageNet.

Paper: Table 2, 76.56 % top-1 (hard label: 76.30 %).
Command: tools/dist_train.sh configs/baselines/tfkd/resnet50_tfkd_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images = 256 a step.
Differs from the paper, which states no setting: alpha 0.1 and T 20 are the authors', m = 1 that
of Zipf's label smoothing's code (arXiv 2207.12980); loss as in the authors' code, which weighs
the formula by 0.1 / 1000.
All else as in configs/ips/resnet50_hard_in1k.py.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(
    type='mmips.DistillClassifier',
    gamma=0.9,
    alpha=0.1,
    distill=dict(
        type='mmips.VirtualTeacherLoss', temperature=20, multiplier=1, soften='probabilities',
        reduction='mean'))
