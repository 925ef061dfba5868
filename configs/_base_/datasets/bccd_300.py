# BCCD blood cells, 640x480, in Pascal VOC's format: data/bccd/BCCD. Any set in this format
# will do: set data_root and classes.
_base_ = 'voc0712_300.py'

data_root = 'data/bccd/BCCD'
metainfo = dict(
    classes=('RBC', 'WBC', 'Platelets'),
    palette=[(220, 20, 60), (60, 60, 200), (0, 160, 90)])
# Cells are of one size: none is shrunk to a quarter.
train_pipeline = [step for step in _base_.train_pipeline if step.type != 'Expand']
dataset = dict(
    _delete_=True,
    type='VOCDataset',
    data_root=data_root,
    data_prefix=dict(sub_data_root=''),
    metainfo=metainfo)
train_dataloader = dict(
    num_workers=2,
    batch_size=16,
    dataset=dict(
        ann_file='ImageSets/Main/train.txt',
        # Two boxes of the set have no area, and the loss of one is infinite.
        filter_cfg=dict(filter_empty_gt=True, bbox_min_size=1),
        pipeline=train_pipeline,
        **dataset))
val_dataloader = dict(
    dataset=dict(
        ann_file='ImageSets/Main/val.txt',
        test_mode=True,
        pipeline=_base_.test_pipeline,
        **dataset))
test_dataloader = dict(
    dataset=dict(
        ann_file='ImageSets/Main/test.txt',
        test_mode=True,
        pipeline=_base_.test_pipeline,
        **dataset))
# 3 classes of about 70, 5 and 5 boxes an image: the area below the whole curve.
val_evaluator = dict(eval_mode='area')
test_evaluator = dict(eval_mode='area')
