"""Faster R-CNN with FPN on the IPS backbone, COCO, with the optimiser of "ResNet strikes back".

Not an experiment of the paper. The recipe is that of mmdet's
resnet_strikes_back/faster-rcnn_r50-rsb-pre_fpn_1x_coco.py (AdamW, lr 2e-4); only the checkpoint
differs.

Data: python tools/misc/check_data.py configs/det/faster-rcnn_r50_ips_coco-rsb.py
Command: tools/dist_train.sh configs/det/faster-rcnn_r50_ips_coco-rsb.py 8
Cost and checkpoint as of ``faster-rcnn_r50_ips_coco.py``.
"""
_base_ = 'faster-rcnn_r50_ips_coco.py'

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0., bypass_duplicate=True))
