"""IPS, each image once an epoch: hard label's own images, steps and schedule."""
_base_ = 'hard.py'

model = dict(
    type='mmips.SelfDistillClassifier',
    train_cfg=dict(augments=[
        dict(type='mmips.IntraClassPatchSwap', grid_size=4, prob=0.5)]))
train_dataloader = dict(sampler=dict(type='mmips.PairedClassSampler', epoch='images'))
