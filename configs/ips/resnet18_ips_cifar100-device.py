"""IPS, constant swap probability, ResNet-18 on CIFAR-100, with the images on the GPU.

Paper: Table 15, 80.27 % top-1 (hard label: 77.92 %).
Command: python tools/train.py configs/ips/resnet18_ips_cifar100-device.py
Cost: as resnet18_ips_cifar100.py: 240 epochs x 100,000 images = 24 M images seen.
Differs from it as resnet18_hard_cifar100-device.py does from its own, and has no monitor.
"""
_base_ = 'resnet18_hard_cifar100-device.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(
    batch_size=128, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=128)
