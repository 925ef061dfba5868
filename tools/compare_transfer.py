# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Does an IPS backbone transfer better? Pretrain, transfer and compare, several seeds each.

Pretrains one network on images from an ``.npz`` file with hard labels and with IPS, at an equal
number of images seen, then trains a segmentor on CamVid and a detector on BCCD from random
weights and from both, with identical recipes. Seed k of a task starts from seed k of the
pretraining. Reported is the last checkpoint's score on the test set::

    python tools/compare_transfer.py --npz data/cifar100.npz --max-classes 50 --per-class 100

Writes ``results.csv``, ``results.md`` and pictures of predictions to the work directory. A run
that is finished is not run again, and one that was interrupted resumes.
"""
import argparse
import functools
from collections.abc import Sequence
from pathlib import Path

import mmips  # noqa: F401  (first: it makes 'mmips::' and 'mmseg::' bases readable)
from mmips.evaluation import transfer
from mmips.runs import cli, scheduling, sweep


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_npz_options(parser, required=True)
    parser.add_argument('--network', choices=['resnet18-w16', 'resnet50'], default='resnet18-w16',
                        help='resnet18-w16 (default) for CPUs, resnet50 for a GPU')
    parser.add_argument('--camvid', type=Path, default=Path('data/camvid'))
    parser.add_argument('--bccd', type=Path, default=Path('data/bccd/BCCD'))
    parser.add_argument('--tasks', nargs='+', choices=sorted(transfer.TASKS),
                        default=list(transfer.TASKS))
    parser.add_argument('--seeds', nargs='+', type=cli.seed, default=[0, 1, 2])
    parser.add_argument('--jobs', type=cli.positive,
                        help='on CPUs: runs at a time (default: one per core)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare_transfer'))
    parser.add_argument('--fresh', action='store_true', help='train anew, forget old runs')
    cli.add_cfg_options(parser, 'settings for the configs of the tasks')
    return parser.parse_args(argv)


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    sweep.use_npz(args)
    roots = {task: getattr(args, task) for task in args.tasks}
    found = transfer.transfer_sweep(args.network, roots, list(dict.fromkeys(args.seeds)),
                                    args.cfg_options or {})
    places = scheduling.local_places(jobs=args.jobs)
    transfer.compare_transfer(found, args.work_dir,
                              functools.partial(scheduling.run_local, **places), args.fresh)


if __name__ == '__main__':
    main()
