"""Faster R-CNN with FPN on the hard-label backbone: twin of ``faster-rcnn_r50_ips_coco-rsb.py``.

Not an experiment of the paper.
Command: python tools/train.py configs/det/faster-rcnn_r50_hard_coco-rsb.py
Cost and data as there. The checkpoint alone differs: that of
configs/ips/resnet50_hard_in1k.py.
"""
_base_ = 'faster-rcnn_r50_ips_coco-rsb.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
