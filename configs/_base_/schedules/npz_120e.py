# 120 epochs, lr cut tenfold at 62.5, 75 and 87.5 % of the run.
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4))
param_scheduler = dict(
    type='MultiStepLR', by_epoch=True, milestones=[75, 90, 105], gamma=0.1)

train_cfg = dict(by_epoch=True, max_epochs=120, val_interval=30)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
