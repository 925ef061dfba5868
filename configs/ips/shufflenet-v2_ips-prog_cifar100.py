"""IPS, progressive swap probability (0.1 rising to 0.5), ShuffleNetV2 1x on CIFAR-100.

Paper: Table 3, 75.75 % top-1 (hard label: 72.62 %).
Command: python tools/train.py configs/ips/shufflenet-v2_ips-prog_cifar100.py
Cost: 240 epochs x 100,000 images = 24 M images seen, as with a constant probability.
Differs from the paper: the two middle probabilities, 0.2 and 0.3, are a guess.
All else as in shufflenet-v2_ips_cifar100.py.
"""
_base_ = [
    'shufflenet-v2_ips_cifar100.py',
    '../_base_/schedules/patch_swap_progressive.py',
]

custom_hooks = _base_.custom_hooks + [_base_.patch_swap_schedule]
