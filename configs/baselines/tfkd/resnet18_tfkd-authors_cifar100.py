"""TF-KD as in its authors' code, ResNet-18 on CIFAR-100.

Paper: none.
Command: python tools/train.py configs/baselines/tfkd/resnet18_tfkd-authors_cifar100.py
Cost: 200 epochs x 50,000 images = 10 M images seen; 391 steps an epoch on one GPU.
Authors' recipe: 200 epochs of which one warms up, lr cut to a fifth at 60, 120 and 160; the
teacher's probabilities are softened, KL averaged over images and classes times m = 100.
All else as in resnet18_tfkd_cifar100.py. Not known from them: Nesterov (without).
"""
_base_ = '../../ips/resnet18_hard_cifar100.py'

model = dict(
    type='mmips.DistillClassifier',
    gamma=0.9,
    alpha=0.1,
    distill=dict(
        type='mmips.VirtualTeacherLoss', temperature=20, multiplier=100, soften='probabilities',
        reduction='mean'))
train_dataloader = dict(batch_size=128)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, begin=0, end=1,
         convert_to_iter_based=True),
    dict(type='MultiStepLR', by_epoch=True, milestones=[60, 120, 160], gamma=0.2)]
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(base_batch_size=128)
