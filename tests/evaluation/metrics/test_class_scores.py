import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mmips.errors import UserError
from mmips.evaluation.metrics import ClassScores


def segmented(truth, found):
    return {'gt_sem_seg': {'data': torch.tensor([truth])},
            'pred_sem_seg': {'data': torch.tensor([found])}}


def test_iou_of_each_class():
    pytest.importorskip('mmseg')
    evaluator = Evaluator([ClassScores(dict(type='mmseg.IoUMetric', iou_metrics=['mIoU']))])
    evaluator.dataset_meta = dict(classes=('road', 'tree', 'sky'))
    for _ in range(2):  # Nothing of the first evaluation is left in the second.
        evaluator.process([segmented([[0, 0, 1, 1]], [[0, 1, 1, 1]])])
        evaluator.process([segmented([[0, 255]], [[0, 1]])])
        scores = evaluator.evaluate(2)
        # Of three pixels of road two are found, of tree both and one too many.
        assert np.isnan(scores.pop('IoU/sky'))
        assert scores == pytest.approx({
            'IoU/road': 200 / 3, 'IoU/tree': 200 / 3, 'mIoU': 200 / 3, 'aAcc': 80})


def test_ap_of_each_class():
    pytest.importorskip('mmdet')
    metric = ClassScores(dict(type='mmdet.VOCMetric', metric='mAP', eval_mode='11points'))
    metric.dataset_meta = dict(classes=('cat', 'dog'))
    box = np.array([[0, 0, 10, 10]], np.float32)
    truth = dict(bboxes=box, labels=np.array([1]), bboxes_ignore=box[:0],
                 labels_ignore=np.array([], int))
    # As gathered from other processes.
    scores = metric.compute_metrics([(truth, [
        np.zeros((0, 5), np.float32), np.array([[0, 0, 10, 10, 0.9]], np.float32)])])
    assert np.isnan(scores.pop('AP/cat'))
    assert scores == pytest.approx({'AP/dog': 100, 'mAP': 100}, abs=1e-4)


def test_refuses_a_metric_without_classes():
    with pytest.raises(UserError, match='Accuracy has no score for every class: IoUMetric, VOC'):
        ClassScores(dict(type='mmpretrain.Accuracy'))
