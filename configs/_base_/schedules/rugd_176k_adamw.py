# RUGD's number of steps and images with mmseg's optimiser of DPT and SegFormer: SGD at lr 0.01,
# which the paper's text gives for its own two rows alone, is no recipe for a transformer.
_base_ = 'rugd_176k.py'

optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={
        key: dict(decay_mult=0.) for key in ('pos_embed', 'cls_token', 'pos_block', 'norm')}))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=1500, by_epoch=False),
    dict(type='PolyLR', power=1.0, eta_min=0, begin=1500, end=_base_.max_iters, by_epoch=False),
]
