"""Hard-label twin of ``resnet-s_ips_npz.py``: small images from any ``.npz`` file.

MMIPS_NPZ names the file (default data/cifar100.npz); it holds ``images_train``
(N, H, W, 3) uint8 RGB, ``labels_train`` (N,), ``images_test``, ``labels_test``.
MMIPS_MAX_CLASSES and MMIPS_PER_CLASS (default 0: no limit) keep the first classes
and the first training images of each. Not an experiment of the paper.

Command: MMIPS_NPZ=data/cifar100.npz python tools/train.py configs/ips/resnet-s_hard_npz.py
Cost: 120 epochs x N images.
"""
_base_ = [
    '../_base_/models/resnet-s.py',
    '../_base_/datasets/npz.py',
    '../_base_/schedules/npz_120e.py',
    '../_base_/seeded_runtime.py',
]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
default_hooks = dict(
    logger=dict(interval=100), checkpoint=dict(interval=30, max_keep_ckpts=1))
