# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Runs, tables and pictures of several folders as one HTML page.

``python tools/analysis_tools/report.py FOLDER [FOLDER ...] --out report.html``

A folder is the work directory of a training run or of a sweep, or what an evaluating tool has
written. The page needs no network and no other file.
"""
import argparse
import os
import sys
from collections.abc import Sequence

import mmips  # noqa: F401  (first: it says what is missing from the environment)
from mmips.runs import cli


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='One HTML page of runs, tables and pictures')
    parser.add_argument('folders', nargs='+', metavar='FOLDER',
                        help='work directory of a run or a sweep, or the --out of a tool')
    parser.add_argument('--out', default='report.html', metavar='FILE',
                        help='HTML file to write (default: report.html)')
    parser.add_argument('--title', default='Report', help='heading of the page (default: Report)')
    args = parser.parse_args(argv)
    if not args.out.lower().endswith(('.html', '.htm')):
        parser.error(f'--out must be an .html file, got {args.out}')
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> str:
    args = parse_args(argv)
    from mmips.evaluation.report import write_report
    sections = write_report(args.folders, args.out, args.title)
    for text in (text for section in sections for text in section.skipped):
        print(f'Not read: {text}', file=sys.stderr)
    print(f'{args.out}: {sum(len(section.configs) for section in sections)} runs, '
          f'{sum(len(section.tables) for section in sections)} tables, '
          f'{sum(len(section.pictures) for section in sections)} pictures, '
          f'{os.path.getsize(args.out) / 1e6:.1f} MB')
    return args.out


if __name__ == '__main__':
    main()
