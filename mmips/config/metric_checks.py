# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Metrics by which something is chosen: they are asked for only after the first validation."""
from collections.abc import Iterator, Mapping
from typing import Any

from mmips.config.builders import Builder
from mmips.config.data_checks import head_classes
from mmips.config.sources import iter_parts, type_name
from mmips.errors import hint

# Of each of mmseg's iou_metrics.
_IOU = dict(mIoU=('mIoU', 'mAcc'), mDice=('mDice', 'mAcc'),
            mFscore=('mFscore', 'mPrecision', 'mRecall'))


def metric_mistakes(cfg: Any) -> Iterator[tuple[str, Any, str, str]]:
    """Yield every part that waits for a metric which the validation does not yield."""
    yield from _topk_mistakes(cfg)
    names = _validated(cfg)
    if not names:
        return
    parts = {f'{field}.{key}': part for field in ('default_hooks', 'custom_hooks',
                                                  'param_scheduler')
             for key, part in iter_parts(cfg.get(field)) if isinstance(part, Mapping)}
    if type_name(schedule := cfg.get('param_scheduler')):
        parts['param_scheduler'] = schedule
    for where, part in parts.items():
        for key in ('save_best', 'monitor'):
            for name in _listed(part.get(key)):
                if name not in (None, 'auto', *names) and not any(
                        str(name).startswith(each if each[-1] == '/' else f'{each}_')
                        for each in names):
                    yield (f'{where}.{key}', name, 'a metric that val_evaluator yields, such as '
                           f'{" or ".join(names)}{hint(name, names)}', '')


def _topk_mistakes(cfg: Any) -> Iterator[tuple[str, Any, str, str]]:
    """Yield each top-k accuracy of more classes than there are, or of none."""
    classes = head_classes(cfg)
    for field in ('val_evaluator', 'test_evaluator'):
        for part in _listed(cfg.get(field)):
            topk = _listed(part.get('topk', 1)) if type_name(part) == 'Accuracy' else []
            if not all(type(k) is int and 1 <= k <= (classes or k) for k in topk):
                yield (f'{field}.topk', part['topk'], 'whole numbers, 1 or more, and no more than '
                       f'the {classes or ""} classes', '')


def _listed(value: Any) -> list:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _validated(cfg: Any) -> list[str]:
    """The names of all metrics, a prefix for those that are not known; empty if any may come."""
    given = cfg.get('val_evaluator') or []
    if isinstance(given, Mapping) and 'metrics' in given:
        given = given['metrics'] if type_name(given) in ('', 'Evaluator') else []
    names: list[str] = []
    for part in _listed(given):
        if not isinstance(part, Mapping):
            return []  # Built already.
        kinds = Builder(part, cfg.get('default_scope') or 'mmengine', '').kinds
        prefix = part.get('prefix') or getattr(kinds[0] if kinds else None, 'default_prefix', None)
        own = {'Accuracy': [f'top{k}' for k in _listed(part.get('topk', 1))],
               'IoUMetric': ['aAcc', *(name for kind in _listed(part.get('iou_metrics', 'mIoU'))
                                       for name in _IOU.get(kind, ()))],
               'VOCMetric': ['mAP', *(f'AP{int(100 * limit):02d}'
                                      for limit in _listed(part.get('iou_thrs', 0.5)))],
               }.get(type_name(part))
        if not (own or prefix):
            return []
        names += [f'{prefix}/{name}' if prefix else name for name in own or ['']]
    return names
