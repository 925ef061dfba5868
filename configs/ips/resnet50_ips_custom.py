"""IPS on your own folder of images, ResNet-50 at 224 pixels.

Data: MMIPS_DATA (default data/custom) names a folder of the form <class>/*.jpg or
train/<class>/*.jpg and val/<class>/*.jpg. Classes and their number are the folders;
without val, a seeded fifth of each class is kept for validation. It is an environment
variable because --cfg-options come after the config is read.

Command: MMIPS_DATA=path/to/images python tools/train.py configs/ips/resnet50_ips_custom.py
Cost: 100 epochs x 2N images, 64 (32 pairs) a step on one GPU.
From a checkpoint: MMIPS_CKPT=file-or-URL takes the backbone of a ResNet-50 from any
checkpoint of mmpretrain, mmips, torchvision (torchvision://resnet50) or timm. A file that
does not fill the whole backbone ends the run before its first step. With a schedule for it:
resnet50_ips-finetune_custom.py.
Several GPUs, or another batch size: add --auto-scale-lr.
In mmpretrain's own tools (train.py, test.py): the same commands; let this file's path come
from python -c "import mmips; print(mmips.cfg('ips/resnet50_ips_custom.py'))".
Not an experiment of the paper. Its ImageNet prefers a 2x2 grid, its small and fine-grained
sets 4x4, as here: --cfg-options model.train_cfg.augments.0.grid_size=2.
"""
_base_ = 'resnet50_hard_custom.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(
    batch_size=64, sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
auto_scale_lr = dict(base_batch_size=64)
# The twin's, which check a checkpoint if one is given.
custom_hooks = _base_.custom_hooks + [dict(type='mmips.SelfDistillMonitor')]
