# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Accuracy and safety metrics of several checkpoints of one config: Table 10 of the IPS paper.

::

    python tools/analysis_tools/eval_safety.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names hard-0 hard-1 ips-0 ips-1 --groups hard hard ips ips --out DIR

Writes ``safety.md``, ``safety.csv`` (and of groups ``safety_groups.csv``), ``safety.json`` with
all that the pictures show, ``reliability.png`` and ``risk_coverage.png``. The metrics and
their units are those of ``mmips.functional.safety``, explained in docs/safety.md.
"""
import argparse
from collections.abc import Sequence

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation.predictions import Request
from mmips.evaluation.safety import evaluate_safety
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> Request:
    parser = argparse.ArgumentParser(description='Accuracy and safety metrics of checkpoints')
    cli.add_checkpoint_options(parser)
    parser.add_argument('--groups', nargs='+', metavar='GROUP', default=(),
                        help='a group for each checkpoint, such as its method: adds mean and '
                        'standard deviation of each group')
    parser.add_argument('--num-bins', type=cli.positive, default=15, metavar='M',
                        help='bins of the calibration errors (default: 15)')
    parser.add_argument('--save-probs', action='store_true',
                        help='keep the probabilities of all images, DIR/probs/*.npz')
    args = cli.check_names(parser, parser.parse_args(argv, Request()))
    if args.groups and len(args.groups) != len(args.checkpoints):
        parser.error(f'--groups needs a group for each of the {len(args.checkpoints)} '
                     f'checkpoints, got {len(args.groups)}: {args.groups}')
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, dict]:
    return evaluate_safety(parse_args(argv))


if __name__ == '__main__':
    main()
