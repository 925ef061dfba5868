"""PSPNet on the hard-label backbone: twin of ``pspnet_r50_ips_voc12aug.py``.

Not an experiment of the paper.
Data, command and cost as there; the checkpoint alone differs.
"""
_base_ = 'pspnet_r50_ips_voc12aug.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
