"""Hard label, ResNet-50 on ImageNet: the twin of the IPS configs of this network.

Paper: Table 2, 76.30 % top-1, 93.05 % top-5.
Command: tools/dist_train.sh configs/ips/resnet50_hard_in1k.py 8
Cost: 100 epochs x 1,281,167 images; 8 GPUs x 32 images = 256 a step, 5,005 steps an
epoch. With another number of images a step add --auto-scale-lr.
Differs from the paper: nothing known. Stated: epochs, lr 0.1 and its cuts, batch size. It
names no augmentation: RandomResizedCrop to 224 and flip are inferred. Not stated either, so
mmpretrain's: momentum 0.9, weight decay 1e-4, the residual branches' last batch norm
starting at zero.
"""
_base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'

train_dataloader = dict(
    persistent_workers=False, worker_init_fn=dict(type='mmips.seed_worker'))
custom_hooks = [dict(type='mmips.EpochSeedHook')]
randomness = dict(seed=0)
default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=3),
    invalid_loss=dict(type='mmips.CheckInvalidLoss'))
# Without the base's `_scope_`, which mmpretrain's browse_dataset chokes on.
visualizer = dict(
    _delete_=True, type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
