"""MixSKD, ResNet-50 on ImageNet, by its authors' recipe.

Paper: 78.76 % top-1 (Yang et al., ECCV 2022, and their code; not in the IPS paper).
Command: tools/dist_train.sh configs/baselines/mixskd/resnet50_mixskd_in1k.py 8
Cost: 305 epochs x 1,281,167 images and as many mixes; 8 GPUs x (16 + 16) images a step, 10,010
steps an epoch.
Differs from the authors: discriminators are trained (model.train_discriminator=False: theirs never
are). From configs/ips/resnet50_hard_in1k.py: epochs, 5 of warm-up, cosine, images a step.
"""
_base_ = '../../ips/resnet50_hard_in1k.py'

model = dict(
    type='mmips.MixSelfDistillClassifier', backbone=dict(out_indices=(0, 1, 2, 3)), mix_alpha=0.2)
train_dataloader = dict(batch_size=16)
auto_scale_lr = dict(base_batch_size=128)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=300, by_epoch=True, begin=5, end=305),
]
train_cfg = dict(max_epochs=305)
