"""SSD300 on the IPS backbone, VOC2007 and VOC2012.

Paper: Table 9, 77.29 % mAP on VOC2007 test. Stated: 250 epochs, batch 32, lr rising to
0.001 over two epochs, cut tenfold at 150 and 200, SGD 0.9, weight decay 5e-4, scores above
0.01. An input of 300 is inferred. For the suppression of overlapping boxes the paper
prints 0.01; 0.45 is usual and taken here: --cfg-options
model.test_cfg.nms.iou_threshold=0.01. Which average precision it reports is unknown: here
the 11 points of VOC2007; --cfg-options val_evaluator.eval_mode=area
test_evaluator.eval_mode=area.

Data: python tools/misc/check_data.py configs/det/ssd300_r50_ips_voc0712.py
Command: python tools/train.py configs/det/ssd300_r50_ips_voc0712.py
Cost: 250 epochs of 16,551 images, 32 a step on one GPU.
Checkpoint: that of configs/ips/resnet50_ips-4x4_in1k.py. Another one, such as the 2x2 one:
    --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/resnet50_ips_in1k/epoch_100.pth
"""
_base_ = [
    '../_base_/models/ssd300_r50.py',
    '../_base_/datasets/voc0712_300.py',
    '../_base_/schedules/ssd_250e.py',
]

model = dict(
    bbox_head=dict(
        num_classes=20,
        # As in mmdet's pascal_voc/ssd300_voc0712.py.
        anchor_generator=dict(basesize_ratio_range=(0.2, 0.9))),
    test_cfg=dict(score_thr=0.01))
auto_scale_lr = dict(enable=False, base_batch_size=32)
