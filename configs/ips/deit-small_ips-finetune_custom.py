"""IPS from a published ViT-S (DeiT-S) on your own folder of images: fine-tuning.

Data: MMIPS_DATA (default data/custom), as in ``resnet50_ips_custom.py``.
Checkpoint: MMIPS_CKPT (default mmpretrain's DeiT-S), a file or URL of mmpretrain or mmips: other
libraries name a transformer's layers otherwise, and such a file ends the run before its first
step.

Not an experiment of the paper. lr and layer-wise decay are a fair start, not tuned.
docs/finetune.md says what else there is to set, such as frozen layers.

Command: MMIPS_DATA=path python tools/train.py configs/ips/deit-small_ips-finetune_custom.py
Cost: 20 epochs x N images, 32 (16 pairs) a step on one GPU: as many as the twin's.
"""
_base_ = 'deit-small_hard-finetune_custom.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        # Cells of 112 pixels: seven whole patches of 16, where a 4x4 grid would cut some.
        dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)]))
train_dataloader = dict(sampler=dict(type='mmips.PairedClassSampler', epoch='images'))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.SelfDistillMonitor')]
