"""SP on small images from any ``.npz`` file: a student of width 16, a teacher of width 32.

The teacher is trained first, by ``configs/baselines/hard/resnet18-s2_hard_npz.py``, on the same
classes and images.

Paper: none.
Command: python tools/train.py configs/baselines/sp/resnet18-s_sp_npz.py
Cost: 120 epochs x N images, 64 a step; each goes through the teacher too, without gradient.
"""
_base_ = '../kd/resnet18-s_kd_npz.py'

model = dict(
    gamma=1.0,
    alpha=3000.0,
    distill=dict(_delete_=True, type='mmips.SimilarityPreservingLoss'))
