# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Train a model: ``python tools/train.py CONFIG [options]``."""
import argparse
import os
from collections.abc import Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.config import loading, sources
from mmips.config.pair_checks import check_config
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument('config', help='path of a config, or the name of one of mmips, ips/x.py')
    cli.add_run_options(parser)
    parser.add_argument('--resume', nargs='?', const='auto',
                        help='go on from this checkpoint, or, without a path, from the newest '
                        'one in the work directory')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate meanwhile')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by batch size / base batch size')
    parser.add_argument('--no-persistent-workers', action='store_true',
                        help='start the workers of the data loaders anew in each epoch')
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def use_amp(cfg: Any) -> None:
    """Switch mixed precision on."""
    import torch
    if not torch.cuda.is_available():
        raise ValueError('--amp: mixed precision needs a GPU, and torch sees none here. '
                         'Leave --amp out.')
    wrapper = cfg.get('optim_wrapper')
    if wrapper is None:
        raise ValueError('--amp: the config has no optim_wrapper to switch to mixed precision. '
                         "Write optim_wrapper = dict(optimizer=dict(type='SGD', lr=...)).")
    if sources.type_name(wrapper) not in ('', 'OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(f'--amp: optim_wrapper.type={wrapper.type!r} is neither OptimWrapper nor '
                         'AmpOptimWrapper. Set mixed precision in the config.')
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')


def merge_args(cfg: Any, args: argparse.Namespace) -> Any:
    """Apply the command line to the config."""
    cfg.launcher = args.launcher
    loading.set_work_dir(cfg, args.config, args.work_dir)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        use_amp(cfg)
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
    if args.auto_scale_lr:
        if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
            raise ValueError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size, '
                             'the number of images a step for which its learning rate was set. '
                             'Write auto_scale_lr = dict(base_batch_size=...).')
        cfg.auto_scale_lr.enable = True
    loading.set_dataloader_defaults(cfg, ('train_dataloader', 'val_dataloader', 'test_dataloader'),
                                not args.no_pin_memory, not args.no_persistent_workers)
    return cfg


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> None:
    """Train."""
    args = parse_args(argv)
    cfg = merge_args(loading.load_config(args.config, args.cfg_options), args)
    doubts = check_config(cfg)
    runner = cli.build_runner(cfg, ('train_dataloader', 'val_dataloader'))
    for doubt in doubts:
        # Only now is there a log file to keep it.
        runner.logger.warning(doubt)
    cli.watch_first_step(runner)
    runner.train()


if __name__ == '__main__':
    main()
