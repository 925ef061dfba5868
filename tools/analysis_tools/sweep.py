# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Train many configurations of one family, several seeds each, as one YAML file says.

::

    python tools/analysis_tools/sweep.py configs/sweeps/digits_recipes.yml
    python tools/analysis_tools/sweep.py SWEEP.yml --npz data/cifar100.npz --devices 0 1 2 3

The format of the YAML file is told in mmips/runs/sweep_file.py. Into the work directory go
results.csv (a row a run), times.csv, results.json, results.md and results.tex (mean and spread
over seeds), heatmaps.png and curves.png where the file asks for them, and every run in
CELL/seedK. A finished run is not run again, an interrupted one resumes, a failed one is left
until --retry-failed, all with the config and data of their start alone.
"""
import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.runs import cli, sweep, training


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sweep', type=Path, metavar='SWEEP.yml')
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/sweep_<name of the file>')
    parser.add_argument('--seeds', nargs='+', type=int, help='instead of those of the file')
    parser.add_argument('--only', nargs='+', default=[], metavar='CELL|AXIS=VALUE',
                        help='train these cells alone')
    parser.add_argument('--jobs', type=int, help='on CPUs: runs at a time (default: one per core)')
    parser.add_argument('--devices', nargs='+', metavar='N',
                        help='GPUs to use, or cpu (default: all GPUs there are)')
    parser.add_argument('--jobs-per-device', type=int, default=1,
                        help='runs at a time on each GPU (default: 1)')
    parser.add_argument('--retry-failed', action='store_true', help='run what has failed again')
    parser.add_argument('--fresh', action='store_true',
                        help='train the chosen cells and seeds anew, forget their old runs')
    parser.add_argument('--npz', type=Path, help='.npz with images_train, labels_train, '
                        'images_test, labels_test, for the npz configs')
    parser.add_argument('--max-classes', type=int, help='first K classes of the .npz')
    parser.add_argument('--per-class', type=int, help='first M training images of each class')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={},
                        metavar='KEY=VALUE', help='settings for the configs of all cells')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--list', action='store_true', help='name the cells, train nothing')
    what.add_argument('--collect', action='store_true',
                      help='tabulate and draw what the work directory holds, train nothing')
    args = parser.parse_args(argv)
    if args.npz and not args.npz.is_file():
        parser.error(f'--npz must name an existing .npz file, but got {args.npz}')
    for option in ('jobs', 'jobs_per_device', 'max_classes', 'per_class'):
        value = getattr(args, option)
        if value is not None and value < 1:
            parser.error(f'--{option.replace("_", "-")} must be at least 1, but got {value}')
    args.work_dir = args.work_dir or Path('work_dirs') / f'sweep_{args.sweep.stem}'
    return args


def set_npz(args: argparse.Namespace) -> None:
    """Tell the npz configs, here and in worker processes, what to read."""
    for name, value in (('NPZ', args.npz and args.npz.resolve()),
                        ('MAX_CLASSES', args.max_classes), ('PER_CLASS', args.per_class)):
        if value is not None:
            os.environ[f'MMIPS_{name}'] = str(value)


def read(args: argparse.Namespace) -> sweep.Sweep:
    """The sweep with what the command line changes of it."""
    found = sweep.read_sweep(args.sweep)
    if args.seeds:
        found = replace(found, seeds=tuple(dict.fromkeys(args.seeds)))
    return replace(found, cells=tuple(
        replace(cell, options={**cell.options, **args.cfg_options}) for cell in found.cells))


def find_places(args: argparse.Namespace) -> tuple[list[str], int]:
    """The devices to use, none for what PyTorch finds, and how many runs share each."""
    if args.devices == ['cpu']:
        return [''], args.jobs or training.cores()
    if args.devices:
        return args.devices, args.jobs_per_device
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    import torch
    if not torch.cuda.is_available():
        return [], args.jobs or training.cores()
    number = torch.cuda.device_count()
    devices = visible.split(',')[:number] if visible else [str(place) for place in range(number)]
    return devices, args.jobs_per_device


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> None:
    """Run the sweep asked for on the command line."""
    args = parse_args(argv)
    set_npz(args)
    found = read(args)
    cells = sweep.choose_cells(found, args.only)
    if args.list:
        sweep.check_cells(found, cells, data=False)
        print('\n'.join(f'{cell.name}   ({cell.folder})' for cell in cells))
        return
    if not args.collect:
        devices, jobs = find_places(args)
        sweep.train_cells(found, cells, args.work_dir, jobs, devices, args.retry_failed,
                          args.fresh)
    sweep.report(found, cells, args.work_dir)


if __name__ == '__main__':
    main()
