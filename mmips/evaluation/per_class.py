# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The score of every class, and tables that compare the scores of several networks.

Tables 8 and 9 of the IPS paper are of this kind.
"""
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmips.runs import files

__all__ = ['CLASS_METRICS', 'ClassScores', 'check_metric', 'class_scores', 'comparison_table',
           'write_comparison']

#: The metrics of mmseg and mmdet that have a score for every class.
CLASS_METRICS = ('IoUMetric', 'VOCMetric', 'CocoMetric')


@dataclass(frozen=True)
class ClassScores:
    """What one network scores, all in percent.

    Args:
        kind (str): 'IoU' or 'AP'.
        classes (Sequence[str]): K class names.
        values (Sequence[float]): K scores, NaN for a class that does not occur.
        totals (Mapping[str, float]): Scores of the whole, by the toolbox's names, the mean
            over the classes first: 'mIoU' and 'aAcc', or 'mAP'.
    """
    kind: str
    classes: Sequence[str]
    values: Sequence[float]
    totals: Mapping[str, float]


def check_metric(metric: Any) -> None:
    """Raise for a metric from which :func:`class_scores` could not read, before it has run.

    Args:
        metric (BaseMetric): Any.

    Raises:
        ValueError: For another metric, or one set to measure something else.
    """
    name = type(metric).__name__
    if name not in CLASS_METRICS:
        raise ValueError(f'{name} has no score for every class. Expected one of '
                         f'{", ".join(CLASS_METRICS)}.')
    if getattr(metric, 'format_only', False):
        raise ValueError(f'{name}(format_only=True) makes no scores, because the set has no '
                         'annotations. Choose a set that has them.')
    if name == 'VOCMetric' and (metric.metric != 'mAP' or metric.scale_ranges is not None):
        raise ValueError("Scores of every class need VOCMetric(metric='mAP', scale_ranges=None), "
                         f'got metric={metric.metric!r}, scale_ranges={metric.scale_ranges!r}.')
    if name == 'CocoMetric' and 'bbox' not in metric.metrics:
        raise ValueError("Scores of every class need CocoMetric(metric='bbox'), got "
                         f'metric={metric.metrics!r}.')


def class_scores(metric: Any, size: int) -> ClassScores:
    """The score of every class from a metric that has seen all images.

    The numbers come from the metric's own functions and settings, so their mean is what the
    toolbox reports.

    Args:
        metric (BaseMetric): ``IoUMetric`` of mmseg, ``VOCMetric`` or ``CocoMetric`` of mmdet, in
            a single process, after ``process``.
        size (int): Number of images.

    Returns:
        ClassScores: In percent; those of ``CocoMetric`` in steps of 0.1, as it rounds them.

    Raises:
        ValueError: For another metric, or one set to measure something else.
    """
    check_metric(metric)
    read = {'IoUMetric': _iou, 'VOCMetric': _voc, 'CocoMetric': _coco}
    return read[type(metric).__name__](metric, size)


def _iou(metric: Any, size: int) -> ClassScores:
    areas = [sum(parts) for parts in zip(*metric.results[:size])]
    scores = metric.total_area_to_metrics(*areas, ['mIoU'], metric.nan_to_num, metric.beta)
    return ClassScores('IoU', tuple(metric.dataset_meta['classes']),
                       (scores['IoU'] * 100).tolist(),
                       {'mIoU': float(np.nanmean(scores['IoU']) * 100),
                        'aAcc': float(np.nanmean(scores['aAcc']) * 100)})


def _voc(metric: Any, size: int) -> ClassScores:
    from mmdet.evaluation import eval_map
    truths, predictions = zip(*metric.results[:size])
    means, values = [], []
    for threshold in metric.iou_thrs:
        # As VOCMetric calls it: +1 in the width of a box, as in the development kit.
        mean, results = eval_map(predictions, truths, iou_thr=threshold, logger='silent',
                                 dataset=metric.dataset_meta['classes'],
                                 eval_mode=metric.eval_mode, use_legacy_coordinate=True)
        means.append(mean)
        # A class without a box does not count in the mean.
        values.append([float(one['ap']) if one['num_gts'] else np.nan for one in results])
    return ClassScores('AP', tuple(metric.dataset_meta['classes']),
                       (np.mean(values, 0) * 100).tolist(),
                       {'mAP': float(np.mean(means) * 100)})


def _coco(metric: Any, size: int) -> ClassScores:
    # Another kind would overwrite the classes' scores, which have no kind in their names.
    metric.metrics, metric.metric_items, metric.classwise = ['bbox'], None, True
    scores = metric.evaluate(size)
    prefix = f'{metric.prefix}/' if metric.prefix else ''
    classes = tuple(metric.dataset_meta['classes'])
    return ClassScores('AP', classes,
                       [float(scores[f'{prefix}{name}_precision']) * 100 for name in classes],
                       {'mAP': float(scores[f'{prefix}bbox_mAP']) * 100})


def comparison_table(scores: Mapping[str, ClassScores], baseline: str) -> str:
    """A Markdown table of all classes, with the differences to one of the networks.

    Args:
        scores (Mapping[str, ClassScores]): By the networks' names.
        baseline (str): The name to which the others are compared.

    Returns:
        str: Table and, for each of the others, on how many classes it is better. Higher scores
        have their difference in bold. All in percent with two digits, and a difference is that
        of the two numbers shown.
    """
    first = scores[baseline]
    lines = ['| ' + ' | '.join([f'{first.kind} %', *(_cell(name) for name in scores)]) + ' |',
             '|---' * (len(scores) + 1) + '|']
    for row, is_total, values in _rows(scores):
        cells = [_with_difference(value, None if name == baseline else values[baseline])
                 for name, value in values.items()]
        label = f'**{row}**' if is_total else _cell(row)
        lines.append(f'| {label} | ' + ' | '.join(cells) + ' |')
    lines.append('')
    classes = [values for _, is_total, values in _rows(scores) if not is_total]
    for name in scores:
        if name != baseline:
            changes = [_difference(values[name], values[baseline]) for values in classes]
            known = [change for change in changes if change is not None]
            better = sum(change > 0 for change in known)
            lines.append(f'{name}: better on {better} of {len(known)} classes than {baseline}.\n')
    return '\n'.join(lines).rstrip('\n') + '\n'


def write_comparison(scores: Mapping[str, ClassScores], baseline: str,
                     folder: str | os.PathLike) -> str:
    """Write ``per_class.md`` and ``per_class.csv``.

    Args:
        scores (Mapping[str, ClassScores]): By the networks' names.
        baseline (str): The name to which the others are compared.
        folder (str): Where to write; it is made.

    Returns:
        str: What ``per_class.md`` holds.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = comparison_table(scores, baseline)
    files.write_text(folder / 'per_class.md', table)
    others = [name for name in scores if name != baseline]
    rows = []
    for row, _, values in _rows(scores):
        changes = (_difference(values[name], values[baseline]) for name in others)
        rows.append([row, *('' if np.isnan(value) else f'{value:.2f}'
                            for value in values.values()),
                     *('' if change is None else f'{change:+.2f}' for change in changes)])
    files.write_csv(folder / 'per_class.csv',
                    ['class', *scores, *(f'{name} - {baseline}' for name in others)], rows)
    return table


def _rows(scores: Mapping[str, ClassScores]) -> list[tuple[str, bool, dict[str, float]]]:
    """Name, whether it is a score of the whole, and each network's score with two digits."""
    first = next(iter(scores.values()))
    rows = [(str(name), False, {key: round(one.values[number], 2) for key, one in scores.items()})
            for number, name in enumerate(first.classes)]
    return rows + [(total, True, {key: round(one.totals[total], 2) for key, one in scores.items()})
                   for total in first.totals]


def _difference(value: float, base: float) -> float | None:
    """What a reader gets who subtracts the two; ``None`` where one is missing."""
    change = round(value - base, 2)
    # Not -0.00.
    return None if np.isnan(change) else change + 0.0


def _with_difference(value: float, base: float | None) -> str:
    text = '\u2013' if np.isnan(value) else f'{value:.2f}'
    change = None if base is None else _difference(value, base)
    if change is None:
        return text
    return f'{text} **{change:+.2f}**' if change > 0 else f'{text} {change:+.2f}'


def _cell(text: str) -> str:
    return text.replace('|', '\\|')
