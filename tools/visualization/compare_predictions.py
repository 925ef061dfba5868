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
from collections.abc import Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.evaluation.predictions import Request
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> Request:
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
    which.add_argument('--images', nargs='+', type=int, metavar='N', default=(),
                       help='numbers of the images to draw, from 0')
    which.add_argument('--num', type=cli.positive, default=4,
                       help='how many to draw, evenly spread over the split (default: 4)')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='least score of a box to be drawn (default: 0.3)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    args = parser.parse_args(argv, Request())
    cli.check_names(parser, args)
    args.baseline = args.baseline or args.names[0]
    if args.baseline not in args.names:
        parser.error(f'--baseline must be one of {args.names}, got {args.baseline!r}')
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> Any:
    args = parse_args(argv)
    from mmips.evaluation.segdet import compare_predictions
    return compare_predictions(args)


if __name__ == '__main__':
    main()
