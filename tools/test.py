# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Evaluate a checkpoint: ``python tools/test.py CONFIG CHECKPOINT [options]``."""
import argparse
import os
from collections.abc import Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.config import loading, splits, switches
from mmips.errors import UserError
from mmips.runs import cli, runner


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test (and evaluate) a model')
    cli.add_run_options(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    cli.add_trust(parser)
    parser.add_argument('--out', help='file for the results (.pkl; metrics also .json)')
    parser.add_argument('--out-item', choices=['metrics', 'pred'],
                        help='what --out holds (default: pred)')
    parser.add_argument('--amp', action='store_true', help='test in mixed precision')
    parser.add_argument('--tta', action='store_true',
                        help="test-time augmentation: the config's tta_model and tta_pipeline, or "
                        'the mean score of an image and its mirror image')
    parser.add_argument('--show-dir', help='folder for pictures of predictions')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--interval', type=cli.positive, default=1, help='picture every n-th image')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds each window stays')
    return cli.parse_run_args(parser, argv)


def read_config(args: argparse.Namespace) -> Any:
    if args.out is None and args.out_item is not None:
        raise UserError(f'--out-item {args.out_item} needs --out FILE besides.')
    kinds = ('.pkl', '.json', '.yaml', '.yml')[:4 if args.out_item == 'metrics' else 1]
    if args.out is not None and (not args.out.endswith(kinds) or os.path.isdir(args.out)):
        raise UserError(f'--out {args.out!r} must be the name of a file that ends in '
                        f'{" or ".join(kinds)}.')
    if args.show_dir == '':
        raise UserError('--show-dir needs the name of a folder, got an empty one.')
    cfg = loading.load_config(args.config, args.cfg_options)
    if args.tta and (args.show or args.show_dir) and cfg.get('default_scope') == 'mmpretrain':
        raise UserError("mmpretrain's hook cannot draw what --tta makes of images: leave --tta or "
                        '--show, --show-dir out.')
    if not cfg.get('test_dataloader'):
        raise UserError('The config has no test_dataloader, so there is nothing to test on. '
                        'Write test_dataloader, test_cfg and test_evaluator.')
    cfg.launcher = args.launcher
    cfg.load_from = args.checkpoint
    # All weights are the checkpoint's: none are asked for that it would take the place of.
    splits.drop_pretrained(cfg.model)
    cfg.resume = False
    loading.set_work_dir(cfg, args.config, args.work_dir)
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir:
        switches.use_pictures(cfg, args.show_dir, show=args.show, interval=args.interval,
                              wait_time=args.wait_time)
    if args.tta:
        switches.use_tta(cfg)
    loading.set_dataloader_defaults(cfg, ('test_dataloader', ), not args.no_pin_memory)
    return cfg


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict:
    args = parse_args(argv)
    return runner.evaluate(read_config(args), args.out, args.out_item)


if __name__ == '__main__':
    main()
