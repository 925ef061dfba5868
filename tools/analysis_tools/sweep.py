# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Train many recipes of one family, several seeds each, as one YAML file says.

::

    python tools/analysis_tools/sweep.py configs/sweeps/digits_recipes.yml
    python tools/analysis_tools/sweep.py SWEEP.yml --npz data/cifar100.npz --devices 0 1 2 3
    python tools/analysis_tools/sweep.py SWEEP.yml --engine slurm --slurm partition=gpu time=240

The format of the YAML file is told in configs/sweeps/README.md. Into the work directory go
results.csv (a row a run), times.csv, results.json, results.md and results.tex (mean and spread
over seeds), heatmaps.png and curves.png where the file asks for them, and every run in
RECIPE/seedK. A finished run is not run again, an interrupted one resumes, a failed one is left
until --retry-failed, all with the config and data of their start alone.
"""
import argparse
from collections.abc import Sequence
from pathlib import Path

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.runs import cli, sweep


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add, options = parser.add_argument, dict(nargs='+', action=DictAction, default={},
                                             metavar='KEY=VALUE')
    add('sweep', type=Path, metavar='SWEEP.yml')
    add('--work-dir', type=Path, help='default: work_dirs/sweep_<name of the file>')
    add('--seeds', nargs='+', type=int, help='instead of those of the file')
    add('--only', nargs='+', default=[], metavar='RECIPE|AXIS=VALUE',
        help='train these recipes alone')
    add('--engine', choices=['local', 'slurm'], default='local',
        help='where to train: here (default), or as jobs of Slurm (needs submitit)')
    add('--slurm', **options, help="settings of submitit's SlurmExecutor: partition, time "
        '(minutes; default: a day), gpus_per_node, array_parallelism ...')
    add('--jobs', type=int, help='on CPUs: runs at a time (default: one per core)')
    add('--devices', nargs='+', metavar='N', help='GPUs to use, or cpu (default: all there are)')
    add('--jobs-per-device', type=int, default=1, help='runs at a time on each GPU (default: 1)')
    add('--retry-failed', action='store_true', help='run what has failed again')
    add('--fresh', action='store_true',
        help='train the chosen recipes and seeds anew, forget their old runs')
    add('--npz', type=Path, help='.npz with images_train, labels_train, images_test, labels_test, '
        'for the npz configs')
    add('--max-classes', type=int, help='first K classes of the .npz')
    add('--per-class', type=int, help='first M training images of each class')
    add('--cfg-options', **options, help='settings for the configs of all recipes')
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument('--list', action='store_true', help='name the recipes, train nothing')
    instead.add_argument('--collect', action='store_true',
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


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> None:
    """Run the sweep asked for on the command line."""
    args = parse_args(argv)
    sweep.use_npz(args.npz, args.max_classes, args.per_class)
    sweep.run_sweep(**{key: value for key, value in vars(args).items()
                       if key not in ('npz', 'max_classes', 'per_class')})


if __name__ == '__main__':
    main()
