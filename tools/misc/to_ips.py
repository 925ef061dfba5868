# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Write the IPS twin of a hard-label config: the same images seen, steps and lr.

``python tools/misc/to_ips.py CONFIG OUT [--grid-size 2] [--prob 0.5] [--alpha 1]``

CONFIG is a path, or ``mmpretrain::folder/name.py``. A config without such a twin is refused with
the reason. ``--table`` prints, in place of it, of which of mmpretrain's configs there is one.
"""
import argparse
import sys
from collections.abc import Sequence

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write the equal-cost IPS twin of a config')
    parser.add_argument('config', nargs='?', help='of a classifier: a path or mmpretrain::...')
    parser.add_argument('out', nargs='?', help='the new config')
    parser.add_argument('--grid-size', type=int, default=2, help='cells a side (default: 2)')
    parser.add_argument('--prob', type=float, default=0.5, help='of the swap (default: 0.5)')
    parser.add_argument('--alpha', type=float, default=1.0, help='weight of the KL (default: 1)')
    parser.add_argument('--table', action='store_true', help="of all of mmpretrain's configs")
    args = parser.parse_args(argv)
    if args.table == (args.out is not None):
        parser.error('give CONFIG and OUT, or --table alone')
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from mmips.config import equal_cost
    print(equal_cost.table() if args.table else equal_cost.write_twin(
        args.config, args.out, grid_size=args.grid_size, prob=args.prob, alpha=args.alpha), end='')


if __name__ == '__main__':
    sys.exit(main())
