# RUGD's schedule in the IPS paper: 176,000 steps of 8 images, SGD at lr 0.01, weight decay 5e-4,
# poly 0.9 (stated). Momentum 0.9 is inferred.
_base_ = [
    __import__('mmips').base('mmseg::_base_/schedules/schedule_160k.py'),
    '../seg_runtime.py',
]

max_iters = 176000
param_scheduler = [dict(
    # The base decays to 1e-4; the paper names no floor.
    type='PolyLR', power=0.9, eta_min=0, begin=0, end=max_iters, by_epoch=False)]
train_cfg = dict(max_iters=max_iters, val_interval=8000)
default_hooks = dict(checkpoint=dict(interval=8000, max_keep_ckpts=3, save_best='mIoU'))
auto_scale_lr = dict(enable=False, base_batch_size=8)
