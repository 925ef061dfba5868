# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Look through the data of a config before training.

``python tools/misc/check_data.py CONFIG [--decode] [--json FILE] [--cfg-options KEY=VALUE ...]``

Says what is missing and where to get it, how many images and how many boxes or pixels of each
class there are in train, val and test, and which files are wrong. Works for mmpretrain, mmseg and
mmdet. The exit status is 0 if all is right and 1 if something is missing or wrong.
"""
import argparse
import os
import sys
from collections.abc import Sequence

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.runs import cli, files


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Look through the data of a config')
    cli.add_config(parser)
    parser.add_argument('--decode', action='store_true',
                        help='decode every image to the end, to find the broken ones')
    parser.add_argument('--json', metavar='FILE', help='write all numbers and problems there')
    parser.add_argument('--workers', type=cli.at_least(0), default=min(os.cpu_count() or 1, 16),
                        help='processes (default: one for each core, at most 16)')
    parser.add_argument('--all-classes', action='store_true',
                        help='show every class, also of more than 40')
    return parser.parse_args(argv)


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    from mmips.config.check_data import check_data
    right, found = check_data(args.config, args.cfg_options, args.decode, args.workers,
                              args.all_classes)
    if args.json:
        os.makedirs(os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
        files.write_json(args.json, found)
    return 0 if right else 1


if __name__ == '__main__':
    sys.exit(main())
