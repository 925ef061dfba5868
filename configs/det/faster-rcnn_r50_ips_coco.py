"""Faster R-CNN with FPN on the IPS backbone, COCO, with mmdet's own 1x recipe.

Not an experiment of the paper. The recipe is that of mmdet's
faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py (SGD, lr 0.02; stem, first stage
and all BatchNorm statistics frozen); only the checkpoint differs.

Data: python tools/misc/check_data.py configs/det/faster-rcnn_r50_ips_coco.py
Command: tools/dist_train.sh configs/det/faster-rcnn_r50_ips_coco.py 8
Cost: 12 epochs of 118,287 images, less those without a box, 16 a step: 2 on each of
eight GPUs.
Checkpoint: that of configs/ips/resnet50_ips-4x4_in1k.py. Another one, such as the 2x2 one:
    --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/resnet50_ips_in1k/epoch_100.pth
"""
_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_detection.py',
    '../_base_/schedules/coco_1x.py',
]

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_ips-4x4_in1k/epoch_100.pth', prefix='backbone.')))
train_dataloader = dict(
    persistent_workers=False, worker_init_fn=dict(type='mmips.seed_worker'))
