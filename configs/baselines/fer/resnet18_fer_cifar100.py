"""FER, ResNet-18 on CIFAR-100: the authors' recipe, too.

Paper: Table 3, 79.99 % top-1 (hard label: 77.92 %).
Command: python tools/train.py configs/baselines/fer/resnet18_fer_cifar100.py
Cost: 240 epochs x 50,000 images = 12 M images seen; 782 steps an epoch on one GPU; 20 MB
remembered.
Differs from the paper: nothing known. T 5, gamma 0.1 and mu 1 are the authors' for ResNet-18,
and so are epochs, batch, lr and weight decay of configs/ips/resnet18_hard_cifar100.py.
ShuffleNetV2 has mu 0.5.
Another network: --cfg-options model.backbone.depth=34, or the lines below over another base,
such as configs/ips/vgg13bn_hard_cifar100.py.
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

# The loss has its own cross entropy.
model = dict(
    type='mmips.DistillClassifier',
    gamma=0,
    distill=dict(type='mmips.FERLoss', temperature=5, gamma=0.1, mu=1))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.MemoryHook')]
