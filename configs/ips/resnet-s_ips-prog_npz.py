"""IPS with a progressive swap probability on small images from any ``.npz`` file.

As ``resnet-s_ips_npz.py``, but the probability rises from 0.1 to 0.5, as in the paper's
Table 3.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet-s_ips-prog_npz.py
Cost: 60 epochs x 2N images, as many as 120 epochs of hard label.
Differs from the paper: as in resnet-s_ips_npz.py; the two middle probabilities are a guess.
"""
_base_ = [
    'resnet-s_ips_npz.py',
    '../_base_/schedules/patch_swap_progressive.py',
]

custom_hooks = _base_.custom_hooks + [_base_.patch_swap_schedule]
