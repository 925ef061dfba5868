# mmseg's own schedule of 80,000 steps, with the three newest checkpoints and the best one kept.
_base_ = [
    __import__('mmips').base('mmseg::_base_/schedules/schedule_80k.py'),
    '../seg_runtime.py',
]

default_hooks = dict(checkpoint=dict(max_keep_ckpts=3, save_best='mIoU'))
