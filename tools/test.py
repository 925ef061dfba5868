# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Evaluate a checkpoint: ``python tools/test.py CONFIG CHECKPOINT [options]``."""
import argparse
import os
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.config import loading
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Test (and evaluate) a model')
    parser.add_argument('config', help='path of a config, or the name of one of mmips, ips/x.py')
    parser.add_argument('checkpoint', help='checkpoint file')
    cli.add_run_options(parser)
    parser.add_argument('--out', help='file for the results (.pkl; metrics also .json)')
    parser.add_argument('--out-item', choices=['metrics', 'pred'],
                        help='what --out holds (default: pred)')
    parser.add_argument('--amp', action='store_true', help='test in mixed precision')
    parser.add_argument('--tta', action='store_true',
                        help="test-time augmentation: the config's tta_model and tta_pipeline, or "
                        'the mean score of an image and its mirror image')
    parser.add_argument('--show-dir', help='folder for pictures of predictions')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='picture every n-th image')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds each window stays')
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def use_pictures(cfg: Any, args: argparse.Namespace) -> None:
    """Switch the config's visualisation hook on."""
    if 'visualization' not in cfg.get('default_hooks', {}):
        raise ValueError('--show, --show-dir: the config has no default_hooks.visualization. '
                         "Write default_hooks=dict(visualization=dict(type='VisualizationHook')).")
    hook, scope = cfg.default_hooks.visualization, cfg.get('default_scope')
    # mmpretrain's hook is switched on by `enable`, mmseg's and mmdet's by `draw`.
    hook.update({'enable' if scope == 'mmpretrain' else 'draw': True, 'show': args.show,
                 'wait_time': args.wait_time, 'interval': args.interval})
    if args.show_dir and scope == 'mmseg':
        # Its hook has no folder of its own.
        cfg.visualizer.save_dir = args.show_dir
    elif args.show_dir:
        hook['out_dir' if scope == 'mmpretrain' else 'test_out_dir'] = args.show_dir


def use_tta(cfg: Any) -> None:
    """Wrap the model in test-time augmentation."""
    from mmengine.config import ConfigDict
    if 'tta_model' not in cfg and cfg.get('default_scope') == 'mmpretrain':
        cfg.tta_model = dict(type='mmpretrain.AverageClsScoreTTA')
    if 'tta_model' not in cfg:
        raise ValueError('--tta: the config has no tta_model. Write tta_model = dict(...) and '
                         'tta_pipeline = [...], or leave --tta out.')
    pipeline = cfg.test_dataloader.dataset.pipeline
    if 'tta_pipeline' not in cfg:
        flips = [dict(type='RandomFlip', prob=1.), dict(type='RandomFlip', prob=0.)]
        both = dict(type='TestTimeAug', transforms=[flips, [pipeline[-1]]])
        cfg.tta_pipeline = [*deepcopy(pipeline[:-1]), both]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def merge_args(cfg: Any, args: argparse.Namespace) -> Any:
    """Apply the command line to the config."""
    if args.out is None and args.out_item is not None:
        raise ValueError(f'--out-item {args.out_item} needs --out FILE besides.')
    if not cfg.get('test_dataloader'):
        raise ValueError('The config has no test_dataloader, so there is nothing to test on. '
                         'Write test_dataloader, test_cfg and test_evaluator.')
    cfg.launcher = args.launcher
    cfg.load_from = args.checkpoint
    cfg.resume = False
    loading.set_work_dir(cfg, args.config, args.work_dir)
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir:
        use_pictures(cfg, args)
    if args.tta:
        use_tta(cfg)
    loading.set_dataloader_defaults(cfg, ('test_dataloader', ), not args.no_pin_memory)
    return cfg


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict:
    """Evaluate and return the metrics."""
    import mmengine
    from mmengine.evaluator import DumpResults
    args = parse_args(argv)
    cfg = merge_args(loading.load_config(args.config, args.cfg_options), args)
    runner = cli.build_runner(cfg, ('test_dataloader', ))
    if args.out and args.out_item != 'metrics':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    if args.out and args.out_item == 'metrics' and runner.rank == 0:
        mmengine.dump(metrics, args.out)
    return metrics


if __name__ == '__main__':
    main()
