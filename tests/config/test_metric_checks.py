import re

import pytest
from mmengine.config import Config

from mmips.config.metric_checks import metric_mistakes

IOU = dict(type='IoUMetric', iou_metrics=['mIoU', 'mDice'])


def mistakes(scope, evaluator, hook):
    return list(metric_mistakes(Config(dict(default_scope=scope, val_evaluator=evaluator,
                                            default_hooks=dict(checkpoint=hook)))))


@pytest.mark.parametrize('scope, evaluator, name, words', [
    ('mmpretrain', dict(type='Accuracy', topk=(1, 5)), 'accuracy/top-1',
     r'such as accuracy/top1 or accuracy/top5 \(did you mean accuracy/top1'),
    ('mmpretrain', [dict(type='Accuracy'), dict(type='SingleLabelMetric')], 'acc',
     'such as accuracy/top1 or single-label/'),
    ('mmseg', IOU, 'mIou', r'aAcc or mIoU .*\(did you mean mIoU'),
    ('mmdet', dict(type='VOCMetric'), 'mAP', 'pascal_voc/mAP or pascal_voc/AP50'),
    ('mmdet', dict(type='CocoMetric', prefix='mine'), 'coco/bbox_mAP', 'such as mine/'),
])
def test_a_metric_that_never_comes(scope, evaluator, name, words):
    for hook in (dict(type='CheckpointHook', save_best=[name]),
                 dict(type='EarlyStoppingHook', monitor=name)):
        (key, got, expected, _), = mistakes(scope, evaluator, hook)
        assert key in ('default_hooks.checkpoint.save_best', 'default_hooks.checkpoint.monitor')
        assert got == name and re.search(words, expected)


@pytest.mark.parametrize('scope, evaluator, name', [
    ('mmpretrain', dict(type='Accuracy'), 'accuracy/top1'),
    ('mmpretrain', dict(type='Accuracy'), 'auto'),
    ('mmpretrain', dict(type='Accuracy', thrs=[0., 0.5]), 'accuracy/top1_thr-0.50'),
    ('mmpretrain', [dict(type='Accuracy'), dict(type='SingleLabelMetric')], 'single-label/recall'),
    ('mmpretrain', [dict(type='Accuracy'), dict(type='somebodys.Metric')], 'anything'),
    ('mmpretrain', None, 'anything'), ('mmseg', IOU, 'mDice'),
    ('mmdet', dict(type='CocoMetric'), 'coco/bbox_mAP_50'),
    ('mmdet', dict(type='MultiDatasetsEvaluator', metrics=[]), 'anything')])
def test_a_metric_that_may_come(scope, evaluator, name):
    assert mistakes(scope, evaluator, dict(type='CheckpointHook', save_best=name)) == []


@pytest.mark.parametrize('topk, is_right', [
    ((1, 5), False), (0, False), ('1', False), ((1, 4), True), (1, True)])
def test_no_more_than_all_classes_are_the_best(topk, is_right):
    cfg = Config(dict(default_scope='mmpretrain', model=dict(head=dict(num_classes=4)),
                      val_evaluator=dict(type='Accuracy', topk=topk)))
    found = [(key, expected) for key, _, expected, _ in metric_mistakes(cfg)]
    assert found == ([] if is_right else [
        ('val_evaluator.topk', 'whole numbers, 1 or more, and no more than the 4 classes')])


def test_the_metric_of_a_single_schedule():
    cfg = Config(dict(default_scope='mmpretrain', val_evaluator=dict(type='Accuracy'),
                      param_scheduler=dict(type='ReduceOnPlateauLR', monitor='accuracy/top5')))
    assert [key for key, *_ in metric_mistakes(cfg)] == ['param_scheduler.monitor']
