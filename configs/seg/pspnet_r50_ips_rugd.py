"""PSPNet head alone on the IPS backbone, six coarse classes of RUGD.

Not an experiment of the paper, whose network has an FCN head beside this one. The recipe is
that of ``pspnet-fcn_r50_ips_rugd.py``.

Data: python tools/misc/check_data.py configs/seg/pspnet_r50_ips_rugd.py
Command: python tools/train.py configs/seg/pspnet_r50_ips_rugd.py
Cost: 176,000 steps of 8 images on one GPU.
Checkpoint: that of configs/ips/resnet50_ips-4x4_in1k.py. Another one, such as the 2x2 one:
    --cfg-options model.backbone.init_cfg.checkpoint=work_dirs/resnet50_ips_in1k/epoch_100.pth
"""
_base_ = 'pspnet-fcn_r50_ips_rugd.py'

model = dict(auxiliary_head=None)
