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
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('sweep', type=Path, metavar='SWEEP.yml')
    add('--work-dir', type=Path, help='default: work_dirs/sweep_<name of the file>')
    add('--seeds', nargs='+', type=cli.seed, help='instead of those of the file')
    add('--only', nargs='+', default=[], metavar='RECIPE|AXIS=VALUE',
        help='train these recipes alone')
    add('--engine', choices=['local', 'slurm'], default='local',
        help='where to train: here (default), or as jobs of Slurm (needs submitit)')
    add('--slurm', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
        help="settings of submitit's SlurmExecutor: partition, time (minutes; default: a day) ...")
    add('--jobs', type=cli.positive, help='on CPUs: runs at a time (default: one per core)')
    add('--devices', nargs='+', metavar='N', help='GPUs to use, or cpu (default: all there are)')
    add('--jobs-per-device', type=cli.positive, default=1,
        help='runs at a time on each GPU (default: 1)')
    add('--retry-failed', action='store_true', help='run what has failed again')
    add('--fresh', action='store_true',
        help='train the chosen recipes and seeds anew, forget their old runs')
    cli.add_npz_options(parser)
    cli.add_cfg_options(parser, 'settings for the configs of all recipes')
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument('--list', action='store_true', help='name the recipes, train nothing')
    instead.add_argument('--collect', action='store_true',
                         help='tabulate and draw what the work directory holds, train nothing')
    args = parser.parse_args(argv)
    if (args.list or args.collect) and (args.fresh or args.retry_failed):
        parser.error('--list and --collect train nothing: leave out --fresh and --retry-failed')
    if args.slurm and args.engine != 'slurm':
        parser.error('--slurm needs --engine slurm')
    args.work_dir = args.work_dir or Path('work_dirs') / f'sweep_{args.sweep.stem}'
    return args


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> None:
    sweep.run_sweep(parse_args(argv))


if __name__ == '__main__':
    main()
