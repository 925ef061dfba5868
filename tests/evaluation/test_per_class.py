import csv
from types import SimpleNamespace

import pandas as pd
import pytest

from mmips.errors import UserError
from mmips.evaluation.per_class import check_metric, class_scores, write_comparison

NAN = float('nan')


def series(kind, values, **totals):
    return pd.concat({kind: pd.Series(values), 'total': pd.Series(totals)})


@pytest.fixture
def scores():
    classes = ('cat', 'a|b', 'cow', 'elk')
    return pd.DataFrame({
        'hard': series('IoU', dict(zip(classes, [50, 60.004, 30, NAN])), mIoU=46.668),
        'IPS': series('IoU', dict(zip(classes, [51.234, 60.0, 28.5, 10])), mIoU=37.4335)})


def test_files(scores, tmp_path):
    folder = tmp_path / 'new' / 'folder'
    assert write_comparison(scores, 'hard', folder) == """\
## IoU of each class

| IoU % | hard | IPS |
|---|---|---|
| cat | 50.00 | 51.23 **+1.23** |
| a\\|b | 60.00 | 60.00 +0.00 |
| cow | 30.00 | 28.50 -1.50 |
| elk | \N{EN DASH} | 10.00 |
| **mIoU** | 46.67 | 37.43 -9.24 |

IPS: better on 1 of 3 classes than hard.
""" == (folder / 'per_class.md').read_text(encoding='utf-8')
    with open(folder / 'per_class.csv', newline='', encoding='utf-8') as file:
        assert list(csv.reader(file)) == [
            ['class', 'hard', 'IPS', 'IPS - hard'], ['cat', '50.00', '51.23', '+1.23'],
            ['a|b', '60.00', '60.00', '+0.00'], ['cow', '30.00', '28.50', '-1.50'],
            ['elk', '', '10.00', ''], ['mIoU', '46.67', '37.43', '-9.24']]


def test_a_difference_is_that_of_the_numbers_shown(tmp_path):
    """46.674 - 46.666 is 0.01 to the reader."""
    scores = pd.DataFrame({
        name: series('AP', {'x': value}, mAP=value)
        for name, value in (('a', 46.664), ('b', 46.676), ('c', 46.6641), ('d', 46.6596))})
    row = write_comparison(scores, 'a', tmp_path).splitlines()[4]
    assert row == '| x | 46.66 | 46.68 **+0.02** | 46.66 +0.00 | 46.66 +0.00 |'
    table = write_comparison(scores, 'b', tmp_path)
    assert '| x | 46.66 -0.02 | 46.68 | 46.66 -0.02 |' in table
    assert table.endswith('d: better on 0 of 1 classes than b.\n')


def make(name, **settings):
    return type(name, (SimpleNamespace, ), {})(**settings)


@pytest.mark.parametrize('metric, words', [
    (make('IoUMetric', format_only=True), r'IoUMetric\(format_only=True\)'),
    (make('VOCMetric', metric='recall', scale_ranges=None), "got metric='recall'"),
    (make('VOCMetric', metric='mAP', scale_ranges=[(0, 32)]), r'scale_ranges=\[\(0, 32\)\]'),
    (make('CocoMetric', metrics=['proposal']), r"got metric=\['proposal'\]")])
def test_refuses_other_metrics(metric, words):
    with pytest.raises(UserError, match=words):
        check_metric(metric)


def test_several_thresholds():
    """The mean over thresholds, of the classes and of the whole, is mmdet's mAP."""
    import numpy as np
    from mmdet.evaluation import VOCMetric
    metric = VOCMetric(iou_thrs=[0.5, 0.9], eval_mode='area')
    metric.dataset_meta = dict(classes=('cat', 'dog', 'cow'))
    none = np.zeros((0, 4)), np.zeros(0, int)
    boxes = np.array([[0., 0, 100, 100], [200, 0, 300, 100]])
    # The cat is found exactly, the dog moved by a fifth, a cow where there is none.
    found = [np.array([[*boxes[0], .9]]), np.array([[220., 0, 320, 100, .8]]),
             np.array([[*boxes[0], .7]])]
    truth = dict(bboxes=boxes, labels=np.array([0, 1]), bboxes_ignore=none[0],
                 labels_ignore=none[1])
    metric.results = [(truth, found)]
    scores = class_scores(metric, 1)
    assert scores['AP'].tolist() == pytest.approx([100, 50, NAN], nan_ok=True)
    assert scores['total', 'mAP'] == pytest.approx(
        100 * metric.compute_metrics(metric.results)['mAP']) == pytest.approx(75)


def test_coco_asks_for_the_images_it_has_seen_and_for_no_other_process():
    """This runs in the first alone, and `evaluate` gathers over all."""
    seen = []

    def compute_metrics(results):
        seen.extend(results)
        return dict(cat_precision=0.5, dog_precision=NAN, bbox_mAP=0.5)

    metric = make('CocoMetric', results=[1, 2, 3], dataset_meta=dict(classes=('cat', 'dog')),
                  compute_metrics=compute_metrics)
    scores = class_scores(metric, 2)
    assert seen == [1, 2] and scores['AP', 'cat'] == scores['total', 'mAP'] == 50
    assert metric.classwise and metric.metrics == ['bbox']
