"""DLB, ResNet-18 on CIFAR-100: the step before teaches, on the images of its batch.

Paper: Table 3, 80.25 % top-1 (hard label: 77.92 %); Shen et al., CVPR 2022.
Command: python tools/train.py configs/baselines/dlb/resnet18_dlb_cifar100.py
Another network, for example ResNet-34: --cfg-options model.backbone.depth=34. Another batch size:
both of train_dataloader.batch_size and train_dataloader.sampler.batch_size.
Cost: 240 epochs x 100,000 images = 24 M images seen; 64 new images and the 64 of the step before
a step, 781 steps an epoch. Remembers 64 x 100 logits.
Differs from the paper: the IPS paper's one recipe; T 3 and weight 1 are a third party's.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    distill=dict(type='mmips.LastBatchLoss', temperature=3.),
    joint_forward=False,
    allow_mismatch=True)
train_dataloader = dict(
    batch_size=128,
    sampler=dict(_delete_=True, type='mmips.OverlappingBatchSampler', batch_size=128))
auto_scale_lr = dict(base_batch_size=128)
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.MemoryHook')]
