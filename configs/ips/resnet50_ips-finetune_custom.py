"""IPS from a published ResNet-50 on your own folder of images: fine-tuning.

Data: MMIPS_DATA (default data/custom), as in ``resnet50_ips_custom.py``.
Checkpoint: MMIPS_CKPT (default torchvision://resnet50), a file or URL of torchvision, timm,
mmpretrain or mmips; how the names in it begin is found by itself. A file that does not fill
the whole backbone ends the run before its first step.

Not an experiment of the paper. lr and layer-wise decay are a fair start, not tuned.
docs/finetune.md says what else there is to set, such as frozen stages.

Command: MMIPS_DATA=path python tools/train.py configs/ips/resnet50_ips-finetune_custom.py
Cost: 20 epochs x N images, 32 (16 pairs) a step on one GPU: as many as the twin's.
"""
_base_ = 'resnet50_hard-finetune_custom.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(sampler=dict(type='mmips.PairedClassSampler', epoch='images'))
custom_hooks = [*_base_.custom_hooks, dict(type='mmips.SelfDistillMonitor')]
