# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Gradients and confidence gaps of training runs side by side: Figures 4 and 5 of the IPS paper.

::

    python tools/analysis_tools/plot_monitor.py WORK_DIR [WORK_DIR ...] \\
        --names 'no swap' IPS --out DIR

Reads what ``mmips.GradientMonitor`` and ``mmips.SelfDistillMonitor`` have logged
(``vis_data/scalars.json``; the logs of a resumed run are joined). Writes

- ``monitor_gradients.png``: mean absolute gradient of each convolution (Figure 4);
- ``monitor_kd.png``: L1 norm of the KL's gradient (Figure 5) and confidence gap over the epochs,
  of swapped and raw pairs too; ``monitor_losses.png``: cross entropy and KL;
- ``monitor.md``: the means; ``monitor.csv``: all values; ``monitor.json``: both.
"""
import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmips  # noqa: F401  (first: it mends mmengine where that is needed)
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw what the training monitors have logged')
    parser.add_argument('checkpoints', nargs='+', metavar='WORK_DIR',
                        help='work directories of training runs')
    parser.add_argument('--names', nargs='+', metavar='NAME',
                        help='a name for each run (default: its folder)')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--epochs', nargs=2, type=int, metavar=('A', 'B'),
                        help='only the epochs A to B, the first being 1 (default: all; of '
                        'iteration-based runs iterations)')
    args = parser.parse_args(argv)
    args.names = args.names or [Path(folder).resolve().name for folder in args.checkpoints]
    cli.check_names(parser, args)
    if args.epochs and not 1 <= args.epochs[0] <= args.epochs[1]:
        parser.error(f'--epochs needs 1 <= A <= B, got {args.epochs[0]} {args.epochs[1]}')
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> Any:
    args = parse_args(argv)
    from mmips.evaluation.monitor import compare_monitors
    return compare_monitors(dict(zip(args.names, args.checkpoints)), args.out, args.epochs)


if __name__ == '__main__':
    main()
