"""Hard-label twin of ``resnet-s_ips_digits.py``: the demo's baseline.

scikit-learn's bundled 8x8 handwritten digits at 16x16, 10 labelled images per
class (100 to learn from), the rest to test on. Not an experiment of the paper.

Command: python tools/train.py configs/ips/resnet-s_hard_digits.py
Cost: 200 epochs x 100 images = 20,000 images seen.
"""
_base_ = [
    '../_base_/models/resnet-s.py',
    '../_base_/datasets/digits.py',
    '../_base_/schedules/digits_200e.py',
    '../_base_/seeded_runtime.py',
]

default_hooks = dict(
    logger=dict(interval=100),
    checkpoint=dict(interval=-1, save_last=True))
