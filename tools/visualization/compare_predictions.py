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
    parser = argparse.ArgumentParser(description='Compare the predictions of checkpoints')
    cli.add_checkpoint_options(parser, whole=True)
    parser.add_argument('--baseline', metavar='NAME',
                        help='name to which the others are compared (default: the first)')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--images', nargs='+', type=int, metavar='N', default=(),
                       help='numbers of the images to draw, from 0')
    which.add_argument('--num', type=cli.positive, default=4,
                       help='how many to draw, evenly spread over the split (default: 4)')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='least score of a box to be drawn (default: 0.3)')
    args = cli.check_names(parser, parser.parse_args(argv, Request()))
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
