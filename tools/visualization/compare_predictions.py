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
import os
import os.path as osp
import re
from collections.abc import Mapping, Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.engine import cli, sources
from mmips.evaluation import (
    CLASS_METRICS,
    ClassScores,
    check_metric,
    class_scores,
    write_comparison,
)


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
    args.names = args.names or [default_name(path) for path in args.checkpoints]
    args.baseline = args.baseline or args.names[0]
    problem = find_problem(args)
    if problem:
        parser.error(problem)
    return args


def default_name(path: str) -> str:
    """The folder and the file of a checkpoint, without its ending."""
    folder, file = osp.split(osp.abspath(path))
    return f'{osp.basename(folder)}/{osp.splitext(file)[0]}'


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
    field = f'{args.split}_dataloader'
    metric = find_metric(cfg.get(f'{args.split}_evaluator'), args)
    if not cfg.get(field):
        raise ValueError(f'{args.config} has no {field}: write one, or choose another --split.')
    # The checkpoints bring all weights.
    cfg.load_from, cfg.resume = None, False
    drop_pretrained(cfg.model)
    cli.set_dataloader_defaults(cfg, (field, ))
    # In order, so that the n-th prediction is that of the n-th image.
    cfg[field].sampler = dict(type='DefaultSampler', shuffle=False)
    cfg[field].pop('batch_sampler', None)
    sources.check_paths(cfg, (field, ))
    missing = [sources.advise_checkpoint('the command line', path) for path in args.checkpoints
               if sources.is_local(path) and not osp.isfile(osp.expanduser(path))]
    if missing:
        raise FileNotFoundError('\n\n'.join(missing))
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


def drop_pretrained(node: Any) -> None:
    """Remove every pretrained checkpoint below a model config, in place."""
    if isinstance(node, (list, tuple)):
        for part in node:
            drop_pretrained(part)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        is_pretrained = (isinstance(value, str) if key == 'pretrained' else
                         key == 'init_cfg' and 'Pretrained' in repr(value))
        if is_pretrained:
            node[key] = None
        else:
            drop_pretrained(value)


def build_model(cfg: Any) -> Any:
    """The config's model, on the GPU if there is one."""
    import torch
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import MODELS
    if cfg.get('data_preprocessor'):
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    # SyncBN refuses CPU tensors, and does what BN does once it is trained.
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    return model.to('cuda' if torch.cuda.is_available() else 'cpu').eval()


def read_state(path: str) -> dict:
    """The tensors of a checkpoint, by the model's names.

    Raises:
        ValueError: The file holds none.
    """
    from mmengine.runner import CheckpointLoader
    from torch import Tensor
    try:
        content = CheckpointLoader.load_checkpoint(path, 'cpu', logger='silent')
        content = content.get('state_dict', content)
        state = {re.sub(r'^module\.', '', key): value for key, value in content.items()
                 if isinstance(value, Tensor)}
    except Exception as error:  # Whatever a file that is no checkpoint makes of itself.
        raise ValueError(f'{path} cannot be read as a checkpoint: {type(error).__name__}: '
                         f'{error}') from error
    if not state:
        raise ValueError(f'{path} holds no weights. Give a .pth file that a training run has '
                         'saved.')
    return state


def check_state(path: str, state: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise unless a checkpoint has exactly the model's weights.

    Raises:
        ValueError: It names the file and the first keys of each kind.
    """
    problems = {
        'missing in the file': [key for key, value in wanted.items()
                                if key not in state and value.is_floating_point()],
        'unknown to the config': [key for key in state if key not in wanted],
        'of another shape': [
            f'{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}'
            for key, value in wanted.items() if key in state and state[key].shape != value.shape],
    }
    found = [f'  {len(keys)} {kind}: {", ".join(keys[:3])}{" ..." if len(keys) > 3 else ""}'
             for kind, keys in problems.items() if keys]
    if found:
        raise ValueError(f'{path} is not a checkpoint of this config (another network, or '
                         'another number of classes). Of its tensors are\n' + '\n'.join(found))


def choose_images(size: int, args: argparse.Namespace) -> list[int]:
    """The numbers of the images to draw."""
    if args.images:
        outside = [number for number in args.images if not 0 <= number < size]
        if outside:
            raise ValueError(f'--images: the {args.split} split has {size} images, 0 to '
                             f'{size - 1}, but got {outside}.')
        return list(dict.fromkeys(args.images))
    number = min(args.num, size)
    # The middles of equal parts.
    return [(2 * place + 1) * size // (2 * number) for place in range(number)]


def predict(model: Any, loader: Any, metric_cfg: dict, chosen: Sequence[int], name: str,
            fp16: bool = False) -> tuple[ClassScores, dict[int, Any]]:
    """Run a model over the whole split; returns its scores and the chosen images' results."""
    import torch
    from mmengine.evaluator import Evaluator
    from mmengine.registry import METRICS
    from mmengine.runner.amp import autocast
    from rich.console import Console
    from rich.progress import track
    metric = METRICS.build(metric_cfg)
    check_metric(metric)
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = loader.dataset.metainfo
    kept: dict[int, Any] = {}
    seen = 0
    with torch.no_grad(), autocast(enabled=fp16):
        for batch in track(loader, name, console=Console(stderr=True)):
            outputs = model.test_step(batch)
            evaluator.process(data_samples=outputs, data_batch=batch)
            kept.update({seen + place: to_drawing(output) for place, output in enumerate(outputs)
                         if seen + place in chosen})
            seen += len(outputs)
    return class_scores(metric, seen), kept


def to_drawing(sample: Any) -> tuple[Any, Any]:
    """Ground truth and prediction of one image; boxes have their truth in the data set."""
    from mmips.visualization.draw_predictions import Boxes
    if 'pred_sem_seg' in sample:
        return tuple(part.data.squeeze(0).cpu().numpy()
                     for part in (sample.gt_sem_seg, sample.pred_sem_seg))
    found = sample.pred_instances
    return None, Boxes(*(found[key].float().cpu().numpy() if key != 'labels' else
                         found[key].cpu().numpy() for key in ('bboxes', 'labels', 'scores')))


def annotated_boxes(info: dict) -> Any:
    """The boxes of a data set's image, those that do not count as difficult."""
    import numpy as np

    from mmips.visualization.draw_predictions import Boxes
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
    from mmips.visualization.draw_predictions import Example, draw_predictions
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
    picture.save(f'{path}.part', format='PNG')
    os.replace(f'{path}.part', path)
    return path


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, ClassScores]:
    """Compare, and return the scores by name."""
    from mmengine.registry import init_default_scope
    from mmengine.runner import Runner
    from mmengine.utils.dl_utils import set_multi_processing
    args = parse_args(argv)
    cfg = cli.load_config(args.config, args.cfg_options)
    metric = prepare(cfg, args)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    set_multi_processing(**cfg.get('env_cfg', {}).get('mp_cfg', {}))
    model = build_model(cfg)
    for path in args.checkpoints:
        check_state(path, read_state(path), model.state_dict())
    loader = Runner.build_dataloader(cfg[f'{args.split}_dataloader'], seed=0)
    chosen = choose_images(len(loader.dataset), args)
    scores, results = {}, []
    for name, path in zip(args.names, args.checkpoints):
        model.load_state_dict(read_state(path), strict=False)
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
