# mmpretrain's CIFAR-100 (RandomCrop 32 with 4 pixels of padding, flip), 64 images a step.
_base_ = 'mmpretrain::_base_/datasets/cifar100_bs16.py'

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=False,
    worker_init_fn=dict(type='mmips.seed_worker'))
val_dataloader = dict(batch_size=256)
test_dataloader = dict(batch_size=256)
val_evaluator = dict(topk=(1, 5))
test_evaluator = dict(topk=(1, 5))
