# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Predictions of segmentors and detectors side by side, and the score of every class."""
import os
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mmips.config import loading, sources, splits
from mmips.errors import UserError
from mmips.evaluation import per_class, predictions
from mmips.runs import files, loaders

__all__ = ['compare_predictions']


def compare_predictions(config: str, checkpoints: Mapping[str, str], out: str | os.PathLike,
                        baseline: str | None = None, split: str = 'test',
                        images: Sequence[int] | None = None, num: int = 4,
                        score_thr: float = 0.3, options: dict | None = None) -> pd.DataFrame:
    """Write ``predictions.png``, ``per_class.md`` and ``per_class.csv`` of several checkpoints.

    Every checkpoint sees the whole split once.

    Args:
        config (str): A segmentation or detection config, by path or name.
        checkpoints (Mapping[str, str]): Checkpoints of this config by the names that the results
            give them.
        out (str | PathLike): Folder for the results; it is made.
        baseline (str, optional): The name to which the others are compared. Defaults to None
            (the first).
        split (str): 'test' or 'val'. Defaults to 'test'.
        images (Sequence[int], optional): Numbers of the images to draw. Defaults to None.
        num (int): How many to draw without ``images``, evenly spread. Defaults to 4.
        score_thr (float): Least score of a box to be drawn. Defaults to 0.3.
        options (dict, optional): What ``--cfg-options`` holds. Defaults to None.

    Returns:
        DataFrame: A column of :func:`mmips.evaluation.per_class.class_scores` for each.
    """
    from mmengine.registry import init_default_scope
    cfg = loading.load_config(config, options)
    metric = _find_metric(cfg.get(f'{split}_evaluator'), config, split)
    splits.prepare_split(cfg, split, config)
    paths = list(checkpoints.values())
    predictions.check_checkpoints(paths)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    model = predictions.build_model(cfg)
    loader = loaders.build_loader(cfg, split)
    size = len(loader.dataset)
    chosen = (predictions.check_images(images, size, split) if images else
              loaders.spread(size, num))
    fp16 = bool((cfg.get(f'{split}_cfg') or {}).get('fp16'))
    scores, results = {}, []
    for name in predictions.each_checkpoint(model, paths, list(checkpoints)):
        scores[name], kept = _predict(model, loader, metric, chosen, name, fp16)
        results.append(kept)
    table = pd.DataFrame(scores)
    # The tables first: they took longer than the picture will.
    print(per_class.write_comparison(table, baseline or table.columns[0], out))
    title = f'{osp.splitext(osp.basename(config))[0]}, {split} images'
    picture = osp.join(out, 'predictions.png')
    _draw(loader.dataset, results, chosen, list(checkpoints), title, score_thr, picture)
    print(f'{picture}\n{osp.join(out, "per_class.md")}, .csv: all {size} images')
    return table


def _find_metric(evaluator: Any, config: str, split: str) -> dict:
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator or {}]
    for metric in metrics:
        if sources.type_name(metric) in per_class.CLASS_METRICS:
            return metric
    found = ', '.join(filter(None, map(sources.type_name, metrics))) or 'nothing'
    raise UserError(f'{config} has {found} as its {split}_evaluator. Predictions are compared for '
                    'segmentation and detection (mmseg and mmdet) configs with one of '
                    f'{", ".join(per_class.CLASS_METRICS)}.')


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
            kept.update({seen + place: _to_drawing(output) for place, output in enumerate(outputs)
                         if seen + place in chosen})
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


def _draw(dataset: Any, results: Sequence[dict[int, Any]], chosen: Sequence[int],
          names: Sequence[str], title: str, score_thr: float, path: str) -> None:
    import mmcv
    from mmengine import fileio

    from mmips.visualization.predictions import draw_predictions
    examples = []
    for number in chosen:
        info = dataset.get_data_info(number)
        truth = results[0][number][0]
        if truth is None:
            boxes = info['instances']
            truth = _boxes([box['bbox'] for box in boxes],
                           label=[box['bbox_label'] for box in boxes],
                           difficult=[bool(box.get('ignore_flag')) for box in boxes])
        known = [truth, *(result[number][1] for result in results)]
        # As the data sets read it, wherever it is.
        image = mmcv.imfrombytes(fileio.get(info['img_path']), channel_order='rgb')
        examples.append((f'{number}: {osp.basename(info["img_path"])}', image, known))
    files.write_picture(path, draw_predictions(
        examples, names, dataset.metainfo['classes'], dataset.metainfo.get('palette'), title,
        score_thr))
