"""Mask R-CNN with FPN on the hard-label backbone: twin of ``mask-rcnn_r50_ips_coco.py``.

Not an experiment of the paper.
Command: python tools/train.py configs/det/mask-rcnn_r50_hard_coco.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'mask-rcnn_r50_ips_coco.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
