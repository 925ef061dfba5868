"""IPS on handwritten digits: the demo, at the hard-label twin's number of images.

scikit-learn's bundled 8x8 handwritten digits at 16x16, 10 labelled images per
class (100 to learn from), the rest to test on. Not an experiment of the paper.

Command: python tools/train.py configs/ips/resnet-s_ips_digits.py
Cost: 100 epochs x 200 images (every image is a query once and a partner once on
average) = 20,000 images seen, as many as the twin's 200 epochs of 100.
Differs from the paper: a 2x2 grid (as on its ImageNet; better here than 4x4),
cosine decay, and 32 images (16 pairs) a step.
"""
_base_ = 'resnet-s_hard_digits.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)]))
train_dataloader = dict(
    sampler=dict(type='mmips.PairedClassSampler', epoch='queries'))
param_scheduler = dict(T_max=100)
train_cfg = dict(max_epochs=100, val_interval=25)
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),
]
