"""IPS, progressive swap probability (0.1 rising to 0.5), ShuffleNetV1 on CIFAR-100.

Paper: Table 3, 74.32 % top-1 (hard label: 71.26 %).
Command: python tools/train.py configs/ips/shufflenet-v1_ips-prog_cifar100.py
Cost: 240 epochs x 100,000 images = 24 M images seen, as with a constant probability.
Differs from the paper: the two middle probabilities, 0.2 and 0.3, are a guess.
All else as in shufflenet-v1_ips_cifar100.py.
"""
_base_ = [
    'shufflenet-v1_ips_cifar100.py',
    '../_base_/schedules/patch_swap_progressive.py',
]

custom_hooks = _base_.custom_hooks + [_base_.patch_swap_schedule]
