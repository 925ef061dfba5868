# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Predictions of several checkpoints of one config side by side, and the score of every class.

::

    python tools/visualization/compare_predictions.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names 'hard label' 'IPS 4x4' --out DIR

For segmentation (``IoUMetric``) and detection (``VOCMetric``, ``CocoMetric``). Writes
``predictions.png``, as Figures 6 and 7 of the IPS paper, ``per_class.md`` and
``per_class.csv``, as its Tables 8 and 9. Every checkpoint sees the whole split once.
"""
import argparse
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.config import loading, sources, splits
from mmips.evaluation import (
    CLASS_METRICS,
    ClassScores,
    check_metric,
    class_scores,
    predictions,
    write_comparison,
)
from mmips.runs import cli, files, loaders


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(description='Compare the predictions of checkpoints')
    parser.add_argument('config', help='path of a config, or the name of one of mmips, seg/x.py')
    parser.add_argument('checkpoints', nargs='+', metavar='CHECKPOINT',
                        help='checkpoints of this config')
    parser.add_argument('--names', nargs='+', metavar='NAME',
                        help='a name for each checkpoint (default: its folder and file)')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--baseline', metavar='NAME',
                        help='name to which the others are compared (default: the first)')
    parser.add_argument('--split', choices=['test', 'val'], default='test',
                        help='data set of the config (default: test)')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--images', nargs='+', type=int, metavar='N',
                       help='numbers of the images to draw, from 0')
    which.add_argument('--num', type=int, default=4,
                       help='how many to draw, evenly spread over the split (default: 4)')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='least score of a box to be drawn (default: 0.3)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    args = parser.parse_args(argv)
    args.names = args.names or [predictions.default_name(path) for path in args.checkpoints]
    args.baseline = args.baseline or args.names[0]
    problem = find_problem(args)
    if problem:
        parser.error(problem)
    return args


def find_problem(args: argparse.Namespace) -> str | None:
    """What is wrong with the command line as a whole."""
    if len(args.names) != len(args.checkpoints):
        return (f'--names needs a name for each of the {len(args.checkpoints)} checkpoints, got '
                f'{len(args.names)}: {args.names}')
    if len(set(args.names)) < len(args.names):
        return f'the names must differ, got {args.names}: give --names'
    if args.baseline not in args.names:
        return f'--baseline must be one of {args.names}, got {args.baseline!r}'
    if args.num < 1:
        return f'--num must be at least 1, got {args.num}'
    return None


def prepare(cfg: Any, args: argparse.Namespace) -> dict:
    """Adapt the config in place and check its paths; returns the config of the metric."""
    metric = find_metric(cfg.get(f'{args.split}_evaluator'), args)
    splits.prepare_split(cfg, args.split, args.config)
    predictions.check_checkpoints(args.checkpoints)
    return metric


def find_metric(evaluator: Any, args: argparse.Namespace) -> dict:
    """The config of the one metric that scores every class."""
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator or {}]
    for metric in metrics:
        if sources.type_name(metric) in CLASS_METRICS:
            return metric
    found = ', '.join(filter(None, map(sources.type_name, metrics))) or 'nothing'
    raise ValueError(f'{args.config} has {found} as its {args.split}_evaluator. Predictions are '
                     'compared for segmentation and detection (mmseg and mmdet) configs with one '
                     f'of {", ".join(CLASS_METRICS)}.')


def choose_images(size: int, args: argparse.Namespace) -> list[int]:
    """The numbers of the images to draw."""
    if args.images:
        return predictions.check_images(args.images, size, args.split)
    return loaders.spread(size, args.num)


def predict(model: Any, loader: Any, metric_cfg: dict, chosen: Sequence[int], name: str,
            fp16: bool = False) -> tuple[ClassScores, dict[int, Any]]:
    """Run a model over the whole split; returns its scores and the chosen images' results."""
    import torch
    from mmengine.evaluator import Evaluator
    from mmengine.registry import METRICS
    from mmengine.runner.amp import autocast
    metric = METRICS.build(metric_cfg)
    check_metric(metric)
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = loader.dataset.metainfo
    kept: dict[int, Any] = {}
    seen = 0
    with torch.no_grad(), autocast(enabled=fp16):
        for batch in predictions.iter_batches(loader, name):
            outputs = model.test_step(batch)
            evaluator.process(data_samples=outputs, data_batch=batch)
            kept.update({seen + place: to_drawing(output) for place, output in enumerate(outputs)
                         if seen + place in chosen})
            seen += len(outputs)
    return class_scores(metric, seen), kept


def to_drawing(sample: Any) -> tuple[Any, Any]:
    """Ground truth and prediction of one image; boxes have their truth in the data set."""
    from mmips.visualization.predictions import Boxes
    if 'pred_sem_seg' in sample:
        return tuple(part.data.squeeze(0).cpu().numpy()
                     for part in (sample.gt_sem_seg, sample.pred_sem_seg))
    found = sample.pred_instances
    return None, Boxes(*(found[key].float().cpu().numpy() if key != 'labels' else
                         found[key].cpu().numpy() for key in ('bboxes', 'labels', 'scores')))


def annotated_boxes(info: dict) -> Any:
    """The boxes of a data set's image, those that do not count as difficult."""
    import numpy as np

    from mmips.visualization.predictions import Boxes
    instances = info['instances']
    return Boxes(np.array([one['bbox'] for one in instances], np.float32).reshape(-1, 4),
                 np.array([one['bbox_label'] for one in instances], np.int64),
                 difficult=np.array([one.get('ignore_flag', 0) for one in instances], bool))


def read_image(path: str) -> Any:
    """An image as the data sets read it, (H, W, 3) uint8 RGB."""
    import mmcv
    from mmengine import fileio
    return mmcv.imfrombytes(fileio.get(path), channel_order='rgb')


def colours(metainfo: Mapping[str, Any]) -> list:
    """A colour for each class: the data set's, or some that differ."""
    number = len(metainfo['classes'])
    palette = metainfo.get('palette')
    if isinstance(palette, (list, tuple)) and len(palette) >= number:
        return list(palette)[:number]
    import matplotlib
    shades = matplotlib.colormaps['hsv']
    # Steps of the golden ratio: neighbours differ, however many there are.
    return [tuple(int(255 * part) for part in shades(0.618 * place % 1)[:3])
            for place in range(number)]


def draw(dataset: Any, results: Sequence[dict[int, Any]], chosen: Sequence[int], title: str,
         args: argparse.Namespace) -> str:
    """Draw the chosen images and write the picture; returns its path."""
    from mmips.visualization.predictions import Example, draw_predictions
    examples = []
    for number in chosen:
        info = dataset.get_data_info(number)
        truth = results[0][number][0]
        examples.append(Example(
            read_image(info['img_path']), annotated_boxes(info) if truth is None else truth,
            [result[number][1] for result in results],
            f'{number}: {osp.basename(info["img_path"])}'))
    picture = draw_predictions(examples, args.names, dataset.metainfo['classes'],
                               colours(dataset.metainfo), title, args.score_thr)
    path = osp.join(args.out, 'predictions.png')
    with files.replacing(path, 'wb') as file:
        picture.save(file, format='PNG')
    return path


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, ClassScores]:
    """Compare, and return the scores by name."""
    from mmengine.registry import init_default_scope
    from mmengine.runner import Runner
    from mmengine.utils.dl_utils import set_multi_processing
    args = parse_args(argv)
    cfg = loading.load_config(args.config, args.cfg_options)
    metric = prepare(cfg, args)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    set_multi_processing(**cfg.get('env_cfg', {}).get('mp_cfg', {}))
    model = predictions.build_model(cfg)
    loader = Runner.build_dataloader(cfg[f'{args.split}_dataloader'], seed=0)
    chosen = choose_images(len(loader.dataset), args)
    scores, results = {}, []
    for name in predictions.each_checkpoint(model, args.checkpoints, args.names):
        scores[name], result = predict(model, loader, metric, chosen, name,
                                       bool((cfg.get(f'{args.split}_cfg') or {}).get('fp16')))
        results.append(result)
    title = f'{osp.splitext(osp.basename(args.config))[0]}, {args.split} images'
    # The tables first: they took longer than the picture will.
    print(write_comparison(scores, args.baseline, args.out))
    print(f'{draw(loader.dataset, results, chosen, title, args)}\n'
          f'{osp.join(args.out, "per_class.md")}, .csv: all {len(loader.dataset)} images')
    return scores


if __name__ == '__main__':
    main()
