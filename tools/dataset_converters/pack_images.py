# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pack images into a ``.npz`` file, scaled once to a fixed size.

``python tools/dataset_converters/pack_images.py CONFIG|FOLDER --size 64 --out x.npz``

CONFIG is one of mmpretrain's tasks, whose data sets of train, val and test are packed; FOLDER holds
<class>/*.jpg, or train/<class>/*.jpg and val/<class>/*.jpg. The shorter edge gets the size, and
the middle is kept. ``mmips.ArrayDataset`` reads the file, and ``MMIPS_NPZ=x.npz`` names it to the
configs, such as those with the images on the device. A val without a test is called test, as
they read it.
"""
import argparse
import os
import sys
from collections.abc import Sequence

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.config.data_checks import LOADERS
from mmips.errors import UserError
from mmips.runs import cli, files


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Pack images of a fixed size into a .npz file')
    parser.add_argument('source', metavar='CONFIG|FOLDER',
                        help='a config of mmpretrain or mmips, or a folder of images')
    cli.add_cfg_options(parser)
    parser.add_argument('--size', type=cli.positive, default=64,
                        help='height and width, in pixels (default: 64)')
    parser.add_argument('--out', required=True, metavar='FILE.npz', help='the file to write')
    parser.add_argument('--workers', type=cli.at_least(0), default=os.cpu_count() or 1,
                        help='processes that read (default: one for each core)')
    args = parser.parse_args(argv)
    if not args.out.lower().endswith('.npz'):
        parser.error(f'--out must end in .npz, got {args.out}')
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    import numpy as np
    from mmengine.registry import init_default_scope

    from mmips.datasets.packing import pack
    from mmips.datasets.watching import watch_annotations
    splits = _find_splits(args)
    init_default_scope('mmpretrain')
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    # Opened first: where it cannot be written, that is known before the work.
    with files.replacing(args.out, 'wb') as file, watch_annotations():
        arrays = pack(splits, args.size, args.workers)
        np.savez(file, **arrays)
    for key, array in arrays.items():
        print(f'{args.out}: {key} {array.dtype} {array.shape}')
    return 0


def _find_splits(args: argparse.Namespace) -> dict[str, dict]:
    """The data sets by the names that the arrays get; equal ones once."""
    from mmips.datasets.files import is_remote
    if os.path.isdir(args.source) or is_remote(args.source):
        return {name: dict(type='mmips.ImageFolder', data_root=args.source, split=split)
                for name, split in (('train', 'train'), ('test', 'val'))}
    from mmips.config import loading, sources
    if not args.source.endswith('.py'):
        raise UserError(f'{args.source} is no folder, and no config, which ends in .py: correct '
                        'the path.')
    cfg = loading.load_config(args.source, args.cfg_options)
    fields = tuple(filter(cfg.get, LOADERS))
    sources.check_paths(cfg, fields)
    found = {field.partition('_')[0]: cfg[field].dataset for field in fields}
    if found.get('val') == found.get('test', found.get('val')) and 'val' in found:
        found['test'] = found.pop('val')
    return found


if __name__ == '__main__':
    sys.exit(main())
