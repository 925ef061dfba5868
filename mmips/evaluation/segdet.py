# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Predictions of segmentors and detectors side by side, and the score of every class."""
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mmips.config import sources
from mmips.errors import UserError
from mmips.evaluation import per_class, predictions
from mmips.runs import loaders


def compare_predictions(request: predictions.Request) -> pd.DataFrame:
    """Do what ``compare_predictions.py`` is asked for; every checkpoint sees the split once.

    Returns a column of :func:`mmips.evaluation.per_class.class_scores` for each checkpoint.
    """
    cfg = predictions.load_split_config(request)
    metric = _find_metric(cfg, request)
    model, loader = predictions.build_model(cfg, request.device), request.build_loader(cfg)
    size = len(loader.dataset)
    chosen = (predictions.find_images(request.images, range(size), request.split)
              or loaders.spread(size, request.num))
    fp16 = bool((cfg.get(f'{request.split}_cfg') or {}).get('fp16'))
    found = {name: _predict(model, loader, metric, chosen, name, fp16)
             for name in predictions.each_checkpoint(model, request.paths)}
    table = pd.DataFrame({name: scores for name, (scores, _) in found.items()})
    # The tables first: they took longer than the picture will.
    per_class.write_comparison(table, request.baseline, request.out)
    predictions.write(request.out, 'per_class', predictions=_draw(
        loader.dataset, {name: kept for name, (_, kept) in found.items()}, chosen, request))
    return table


def _find_metric(cfg: Any, request: predictions.Request) -> dict:
    evaluator = cfg.get(f'{request.split}_evaluator')
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator or {}]
    for metric in metrics:
        if sources.type_name(metric) in per_class.CLASS_METRICS:
            return metric
    found = ', '.join(filter(None, map(sources.type_name, metrics))) or 'nothing'
    raise UserError(f'{request.config} has {found} as its {request.split}_evaluator. Predictions '
                    'are compared for segmentation and detection (mmseg and mmdet) configs with '
                    f'one of {", ".join(per_class.CLASS_METRICS)}.')


def _predict(model: Any, loader: Any, metric_cfg: dict, chosen: Sequence[int], name: str,
             fp16: bool) -> tuple[pd.Series, dict[int, Any]]:
    """Run a model over the whole split; returns its scores and the chosen images' results."""
    import torch
    from mmengine.evaluator import Evaluator
    from mmengine.registry import METRICS
    from mmengine.runner.amp import autocast
    metric = METRICS.build(metric_cfg)
    per_class.check_metric(metric)
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = loader.dataset.metainfo
    kept: dict[int, Any] = {}
    seen = 0
    with torch.no_grad(), autocast(enabled=fp16):
        for batch in predictions.iter_batches(loader, name):
            outputs = model.test_step(batch)
            evaluator.process(data_samples=outputs, data_batch=batch)
            kept.update({number: _to_drawing(output) for number, output in enumerate(outputs, seen)
                         if number in chosen})
            seen += len(outputs)
    return per_class.class_scores(metric, seen), kept


def _to_drawing(sample: Any) -> tuple[Any, Any]:
    """Ground truth and prediction of one image; boxes have their truth in the data set."""
    if 'pred_sem_seg' in sample:
        return tuple(part.data.squeeze(0).cpu().numpy()
                     for part in (sample.gt_sem_seg, sample.pred_sem_seg))
    found = sample.pred_instances
    return None, _boxes(found.bboxes.float().cpu().tolist(), label=found.labels.cpu().numpy(),
                        score=found.scores.float().cpu().numpy())


def _boxes(corners: Sequence, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame(corners, columns=['left', 'top', 'right', 'bottom'],
                        dtype=float).assign(**columns)


def _draw(dataset: Any, results: Mapping[str, Mapping[int, Any]], chosen: Sequence[int],
          request: predictions.Request) -> Any:
    import mmcv
    from mmengine import fileio

    from mmips.visualization.predictions import draw_predictions
    examples = []
    for number in chosen:
        info = dataset.get_data_info(number)
        truths, found = zip(*(kept[number] for kept in results.values()))
        truth = truths[0] if truths[0] is not None else _boxes(
            [box['bbox'] for box in info['instances']],
            label=[box['bbox_label'] for box in info['instances']],
            difficult=[bool(box.get('ignore_flag')) for box in info['instances']])
        # As the data sets read it, wherever it is.
        image = mmcv.imfrombytes(fileio.get(info['img_path']), channel_order='rgb')
        examples.append((f'{number}: {osp.basename(info["img_path"])}', image, [truth, *found]))
    return draw_predictions(examples, list(results), dataset.metainfo['classes'],
                            dataset.metainfo.get('palette'),
                            f'{request.title}, {request.split} images', request.score_thr)
