"""FCN head alone on the IPS backbone, six coarse classes of RUGD.

Not an experiment of the paper. The recipe is that of ``pspnet-fcn_r50_ips_rugd.py``.

Data: python tools/misc/check_data.py configs/seg/fcn_r50_ips_rugd.py
Command: python tools/train.py configs/seg/fcn_r50_ips_rugd.py
Cost: 176,000 steps of 8 images on one GPU.
Checkpoint: that of configs/ips/resnet50_ips-4x4_in1k.py. Another one, such as the 2x2 one:
    --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/resnet50_ips_in1k/epoch_100.pth
"""
_base_ = [
    '../_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/rugd_coarse_300x375.py',
    '../_base_/schedules/rugd_176k.py',
]

model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=6),
    auxiliary_head=None)
