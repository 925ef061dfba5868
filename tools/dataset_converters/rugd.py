# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Convert RUGD's colour annotations into label ids, for ``mmips.RUGDDataset``.

``python tools/dataset_converters/rugd.py data/rugd``

wants both archives of http://rugd.vision/ unpacked in ``data/rugd``, writes
``data/rugd/labels/<video>/<name>.png`` (8 bit, ids 0..24) and links ``data/rugd/frames``
to the frames, which stay where they are. Started again, it does what is not done.
"""
import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mmips.runs.cli import positive, readable_failures


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Convert the colours of RUGD into label ids')
    parser.add_argument('root', nargs='?', type=Path, default=Path('data/rugd'),
                        help='where labels/ and frames go, and where the unpacked archives are '
                        '(default: data/rugd)')
    parser.add_argument('--annotations', type=Path,
                        help='the published annotations (default: ROOT/RUGD_annotations)')
    parser.add_argument('--frames', type=Path, help='their frames; ROOT/frames becomes a link to '
                        'them (default: ROOT/RUGD_frames-with-annotations, else ROOT/frames)')
    parser.add_argument('--workers', type=positive, default=os.cpu_count() or 1,
                        help='processes (default: one for each core)')
    parser.add_argument('--force', action='store_true', help='convert what is done, too')
    return parser.parse_args(argv)


@readable_failures
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    from mmips.datasets.rugd_conversion import convert
    summary, notes, errors = convert(**vars(args))
    for kind, lines in (('note', notes), ('error', errors)):
        for line in lines:
            print(f'{kind}: {line}', file=sys.stderr)
    print(f'{args.root / "labels"}: {summary}')
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
