"""DeepLabV3+ on the hard-label backbone: twin of ``deeplabv3plus_r50_ips_voc12aug.py``.

Paper: the cell of Table 6 is lost from the text.
Data, command and cost as there; the checkpoint alone differs.
"""
_base_ = 'deeplabv3plus_r50_ips_voc12aug.py'

model = dict(backbone=dict(init_cfg=dict(
    checkpoint='work_dirs/resnet50_hard_in1k/epoch_100.pth')))
