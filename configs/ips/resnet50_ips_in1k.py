"""IPS with a 2x2 grid, ResNet-50 on ImageNet.

Paper: Table 2, 77.85 % top-1, 93.57 % top-5 (hard label: 76.30, 93.05).
Command: tools/dist_train.sh configs/ips/resnet50_ips_in1k.py 8
On one GPU: python tools/train.py configs/ips/resnet50_ips_in1k.py --auto-scale-lr
Cost: 100 epochs x 2,562,334 images (2N), twice the twin's; 8 GPUs x 64 images (32
pairs) = 512 a step, 5,005 steps an epoch, as many as the twin's.
Differs from the paper: nothing known. Inferred: crop and flip, 2x2 as the number of cells.
Unknown: whether its batch of 256 counts pairs (taken here) or images, the constant prob
(0.5) and the temperature (4).
Data: data/imagenet/{train,val}/<synset>/*.JPEG.
"""
_base_ = 'resnet50_hard_in1k.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)]))
train_dataloader = dict(
    batch_size=64, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=512)
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
