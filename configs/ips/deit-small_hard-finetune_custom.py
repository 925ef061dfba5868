"""Hard-label twin of ``deit-small_ips-finetune_custom.py``: a published ViT-S on your own images.

Data and checkpoint as described there. Not an experiment of the paper.

Command: MMIPS_DATA=path python tools/train.py configs/ips/deit-small_hard-finetune_custom.py
Cost: 20 epochs x N images, 32 a step on one GPU.
"""
_base_ = [
    'mmpretrain::_base_/models/vit-base-p16.py',
    '../_base_/datasets/custom.py',
    '../_base_/schedules/finetune_20e.py',
    '../_base_/published_checkpoint.py',
    '../_base_/seeded_runtime.py',
]

model = dict(
    backbone=dict(
        arch='deit-small',
        drop_rate=0.,
        drop_path_rate=0.1,
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            # mmpretrain's deit-small_4xb256_in1k.
            checkpoint=_base_.checkpoint or 'https://mmassets.onedl.ai/mmclassification/v0/deit/'
            'deit-small_pt-4xb256_in1k_20220218-9425b9bb.pth',
            prefix=_base_.prefix)),
    head=dict(
        num_classes=_base_.data_preprocessor.num_classes,
        in_channels=384,
        topk=(1, ),
        loss=dict(_delete_=True, type='CrossEntropyLoss')))
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    # As in mmpretrain's recipe for it.
    paramwise_cfg=dict(
        norm_decay_mult=0.,
        bias_decay_mult=0.,
        custom_keys={
            '.cls_token': dict(decay_mult=0.),
            '.pos_embed': dict(decay_mult=0.),
        }),
    clip_grad=dict(max_norm=5.))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.CheckPretrained')]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(save_best='auto'))
