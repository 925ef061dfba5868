# 200 epochs, SGD 0.9, lr 0.1 cut tenfold at 100 and 150, weight decay 1e-4: mmpretrain's
# CIFAR schedule is CS-KD's fine-grained one; only the batch it is meant for differs.
_base_ = 'mmpretrain::_base_/schedules/cifar10_bs128.py'

auto_scale_lr = dict(base_batch_size=32)
