# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Train a model: ``python tools/train.py CONFIG [options]``."""
import argparse
from collections.abc import Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.config import loading, switches
from mmips.config.device_path import on_device
from mmips.errors import UserError
from mmips.runs import cli, runner, work_dir


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model')
    cli.add_run_options(parser)
    parser.add_argument('--resume', nargs='?', const='auto',
                        help='go on from this checkpoint, or, without a path, from the newest '
                        'one in the work directory')
    parser.add_argument('--overwrite', action='store_true',
                        help='remove the checkpoints of another run from the work directory')
    cli.add_trust(parser)
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--on-device', action='store_true',
                        help='make whole batches on the device: of small images in memory, such '
                        'as CIFAR, or of image files, which the GPU decodes')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate meanwhile')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate by batch size / base batch size')
    parser.add_argument('--no-persistent-workers', action='store_true',
                        help='start the workers of the data loaders anew in each epoch')
    return cli.parse_run_args(parser, argv)


def read_config(args: argparse.Namespace) -> Any:
    if args.resume == 'auto' and args.overwrite:
        raise UserError('--overwrite removes what --resume goes on from. Leave out one of them.')
    cfg = loading.load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    loading.set_work_dir(cfg, args.config, args.work_dir)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.on_device:
        cfg.merge_from_dict(on_device(cfg))
    if args.amp:
        switches.use_amp(cfg)
    if args.resume is not None:
        cfg.resume = True
        # What training begins from is kept, for a folder without a checkpoint.
        cfg.load_from = cfg.get('load_from') if args.resume == 'auto' else args.resume
    if args.auto_scale_lr:
        switches.auto_scale_lr(cfg)
    loading.set_dataloader_defaults(cfg, ('train_dataloader', 'val_dataloader', 'test_dataloader'),
                                    not args.no_pin_memory, not args.no_persistent_workers)
    return cfg


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = read_config(args)
    try:
        runner.train(cfg, args.overwrite, args.resume == 'auto')
    except KeyboardInterrupt:
        raise KeyboardInterrupt(work_dir.how_to_go_on(cfg.work_dir)) from None


if __name__ == '__main__':
    main()
