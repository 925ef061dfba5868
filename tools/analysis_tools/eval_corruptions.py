# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Accuracy of several checkpoints of one config on corrupted images.

::

    python tools/analysis_tools/eval_corruptions.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names 'hard label' IPS --out DIR

Tables 10 (last column) and 11 of the IPS paper, and the mean corruption error (mCE) of
Hendrycks and Dietterich. Corrupts the config's images as it goes, or reads CIFAR-100-C with
``--cifar-c``. All checkpoints see the same images. Each result is kept as soon as it is there: the
same command goes on after an interruption, and more of anything costs only itself. Writes
``corruptions.md``, ``.csv``, ``.json`` and ``.png``, and ``corruption_examples.png``.
"""
import argparse
from collections.abc import Sequence
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation.predictions import Request
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> Request:
    parser = argparse.ArgumentParser(description='Accuracy of checkpoints on corrupted images')
    cli.add_checkpoint_options(parser)
    parser.add_argument('--corruptions', nargs='+', default=['paper'], metavar='NAME',
                        help="names, or the groups 'paper' (the ten of the IPS paper), 'common' "
                        "(the 15 of mCE), 'all' (19) (default: paper)")
    parser.add_argument('--severities', nargs='+', type=int, metavar='N', default=[1, 2, 3, 4, 5],
                        help='of 1 2 3 4 5 (default: all)')
    parser.add_argument('--cifar-c', metavar='DIR', help='folder of CIFAR-100-C or CIFAR-10-C, '
                        "read instead of corrupting the config's images")
    parser.add_argument('--where', choices=['packed', 'loaded'], default='packed',
                        help='corrupt images as the network gets them, after resizing and '
                        'cropping, as ImageNet-C, or as they are loaded (default: packed)')
    parser.add_argument('--seed', type=cli.seed, default=0, help='of the corruptions (default: 0)')
    parser.add_argument('--reference', metavar='NAME',
                        help='the checkpoint whose mCE is 100 (default: the first)')
    return cli.check_names(parser, parser.parse_args(argv, Request()))


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> Any:
    args = parse_args(argv)
    from mmips.evaluation.corruptions import eval_corruptions
    return eval_corruptions(args)


if __name__ == '__main__':
    main()
