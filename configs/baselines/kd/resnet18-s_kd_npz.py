"""KD on small images from any ``.npz`` file: a student of width 16, a teacher of width 32.

The teacher is trained first, by ``configs/baselines/hard/resnet18-s2_hard_npz.py``, on the same
classes and images.

Paper: none.
Command: python tools/train.py configs/baselines/kd/resnet18-s_kd_npz.py
Cost: 120 epochs x N images, 64 a step; each goes through the teacher too, without gradient.
"""
_base_ = '../hard/resnet18-s_hard_npz.py'

model = dict(
    type='mmips.TeacherDistillClassifier',
    gamma=0.1,
    alpha=0.9,
    distill=dict(type='mmips.KDLoss', temperature=4),
    teacher=dict(
        config='mmips::baselines/hard/resnet18-s2_hard_npz.py',
        checkpoint='work_dirs/resnet18-s2_hard_npz/epoch_120.pth'))
# A CUDA graph knows plain classifiers and pairs alone.
custom_hooks = [*_base_.custom_hooks[:-1], dict(type='mmips.FastStepHook', cuda_graph=False)]
