# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The score of every class of several networks: Tables 8 and 9 of the IPS paper."""
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.runs import tables

#: The metrics of mmseg and mmdet that have a score for every class.
CLASS_METRICS = ('IoUMetric', 'VOCMetric', 'CocoMetric')


def check_metric(metric: Any) -> None:
    """Raise for a metric from which :func:`class_scores` could not read, before it has run."""
    name = type(metric).__name__
    if name not in CLASS_METRICS:
        raise UserError(f'{name} has no score for every class: {", ".join(CLASS_METRICS)} have.')
    if getattr(metric, 'format_only', False):
        raise UserError(f'{name}(format_only=True) makes no scores, because the set has no '
                        'annotations. Choose a set that has them.')
    if name == 'VOCMetric' and (metric.metric != 'mAP' or metric.scale_ranges is not None):
        raise UserError("Scores of every class need VOCMetric(metric='mAP', scale_ranges=None), "
                        f'got metric={metric.metric!r}, scale_ranges={metric.scale_ranges!r}.')
    if name == 'CocoMetric' and 'bbox' not in metric.metrics:
        raise UserError("Scores of every class need CocoMetric(metric='bbox'), got "
                        f'metric={metric.metrics!r}.')


def class_scores(metric: Any, size: int) -> pd.Series:
    """The score of every class from a metric that has seen ``size`` images, in percent.

    The numbers come from the metric's own functions and settings, so their mean is what the
    toolbox reports; those of ``CocoMetric`` in steps of 0.1, as it rounds them. The index is
    ('IoU' or 'AP', class), NaN for a class that does not occur, and ('total', 'mIoU' ...) at last.
    """
    read = {'IoUMetric': _iou, 'VOCMetric': _voc, 'CocoMetric': _coco}[type(metric).__name__]
    kind, values, totals = read(metric, size)
    classes = pd.Series(values, list(map(str, metric.dataset_meta['classes'])), float)
    return 100 * pd.concat({kind: classes, 'total': pd.Series(totals, dtype=float)})


def _iou(metric: Any, size: int) -> tuple[str, Any, dict]:
    areas = [sum(parts) for parts in zip(*metric.results[:size])]
    scores = metric.total_area_to_metrics(*areas, ['mIoU'], metric.nan_to_num, metric.beta)
    return 'IoU', scores['IoU'], {'mIoU': np.nanmean(scores['IoU']),
                                  'aAcc': np.nanmean(scores['aAcc'])}


def _voc(metric: Any, size: int) -> tuple[str, Any, dict]:
    from mmdet.evaluation import eval_map
    truths, predictions = zip(*metric.results[:size])
    # As VOCMetric calls it: +1 in the width of a box, as in the development kit.
    means, results = zip(*(eval_map(
        predictions, truths, iou_thr=threshold, logger='silent', eval_mode=metric.eval_mode,
        dataset=metric.dataset_meta['classes'], use_legacy_coordinate=True)
        for threshold in metric.iou_thrs))
    # A class without a box does not count in the mean.
    values = [[float(result['ap']) if result['num_gts'] else np.nan for result in part]
              for part in results]
    return 'AP', np.mean(values, 0), {'mAP': np.mean(means)}


def _coco(metric: Any, size: int) -> tuple[str, Any, dict]:
    # Another kind would overwrite the classes' scores, which have no kind in their names.
    metric.metrics, metric.metric_items, metric.classwise = ['bbox'], None, True
    # Not `evaluate`, in which all processes would have to take part.
    scores = metric.compute_metrics(metric.results[:size])
    return 'AP', [scores[f'{name}_precision'] for name in metric.dataset_meta['classes']], {
        'mAP': scores['bbox_mAP']}


def write_comparison(scores: pd.DataFrame, baseline: str, folder: str | Path) -> str:
    """Write and print ``per_class.md``, whose text is returned, and ``per_class.csv``.

    The differences to the baseline are those of the two numbers shown, in bold where higher.
    """
    shown = scores.map(lambda value: round(value, 2))
    # Not -0.00.
    changes = (shown.sub(shown[baseline], axis=0).round(2) + 0.0).drop(columns=baseline)
    numbers, signed = shown.map('{:.2f}'.format), changes.map('{:+.2f}'.format)
    kind = scores.index[0][0]
    texts = numbers.replace('nan', '\u2013')
    for name in changes:
        texts[name] += (' ' + signed[name].where(changes[name] <= 0, '**' + signed[name] + '**')
                        ).where(changes[name].notna(), '')
    rows = [[label, *map(tables.Markup, row)]
            for (_, label), row in zip(texts.index, texts.values.tolist())]
    totals = {(place, 0) for place, (group, _) in enumerate(texts.index) if group == 'total'}
    text = tables.to_markdown(f'{kind} of each class', [
        tables.Table('', [f'{kind} %', *scores], 1, rows, totals)]) + ''.join(
            f'\n{name}: better on {(change > 0).sum()} of {change.count()} classes than '
            f'{baseline}.\n' for name, change in changes.loc[kind].items())
    cells = numbers.join(signed.add_suffix(f' - {baseline}')).replace(['nan', '+nan'], '')
    predictions.write(folder, 'per_class', text, cells.droplevel(0).rename_axis(
        'class').reset_index().to_dict('records'))
    return text
