# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Draw pairs of a config before and after the patch swap.

``python tools/visualization/browse_pairs.py CONFIG [--out FILE.png]``

The pairs come through the config's own data set, pipeline, sampler, preprocessor and
batch augments, so the picture shows what the network will see.

``--checkpoint CKPT [CKPT ...] --names NAME [NAME ...]`` adds, as Figure 3 of the IPS paper,
how sure a network is of each image's class before and after the swap, for checkpoints of one run
early, halfway and at its end, say. The caption gives the mean confidence gap |p1 - p2| between the
two images of all pairs of the batch, the ``conf_gap`` of ``mmips.SelfDistillMonitor`` but in
evaluation mode; ``FILE.csv`` has the numbers of all its pairs.
"""
import argparse
import os.path as osp
from collections.abc import Sequence

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation.predictions import Request
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> Request:
    parser = argparse.ArgumentParser(description='Draw pairs before and after the patch swap')
    cli.add_config(parser)
    place = parser.add_mutually_exclusive_group()
    place.add_argument('--out', help='PNG file (default: pairs.png in --output-dir)')
    place.add_argument('--output-dir', help='folder (default: work_dirs/<name of the config>)')
    parser.add_argument('--num-pairs', type=cli.positive, default=6,
                        help='pairs to draw (default: 6)')
    parser.add_argument('--prob', type=float, help="probability of a swap (default: the config's)")
    parser.add_argument('--seed', type=cli.seed, default=0, help='seed (default: 0)')
    parser.add_argument('--checkpoint', nargs='+', default=[], dest='checkpoints', metavar='CKPT',
                        help='checkpoints of this config, whose confidence is drawn')
    parser.add_argument('--names', nargs='+', metavar='NAME',
                        help='a name for each checkpoint (default: its folder and file)')
    parser.add_argument('--device', help='where checkpoints compute (default: cuda if there is '
                        'one)')
    args = cli.check_names(parser, parser.parse_args(argv, Request()))
    if args.prob is not None and not 0 <= args.prob <= 1:
        parser.error(f'--prob must be within 0 to 1, got {args.prob}')
    folder = args.output_dir or osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    args.out = args.out or osp.join(folder, 'pairs.png')
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> str:
    args = parse_args(argv)
    from mmips.evaluation.pairs import browse_pairs
    return browse_pairs(args)


if __name__ == '__main__':
    main()
