# The paper's CIFAR-100 recipe (Section 4.2): 240 epochs, lr 0.05 cut tenfold at 150,
# 180 and 210. Inferred: momentum 0.9, weight decay 5e-4, no Nesterov, no warm-up.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1)

train_cfg = dict(by_epoch=True, max_epochs=240, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
