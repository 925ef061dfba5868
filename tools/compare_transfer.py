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
import contextlib
import csv
import io
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mmips
from mmips.config import loading
from mmips.runs import cli, fingerprints, sweep, training

STARTS = {'random': 'random weights', 'hard': 'hard label', 'ips': 'IPS 4x4'}


@dataclass(frozen=True)
class Transfer:
    """A task to transfer to."""

    title: str
    config: str
    metric: str
    #: Turns the metric into percent.
    scale: float


TASKS = {
    'camvid': Transfer('CamVid segmentation, DeepLabV3+, mIoU %',
                       'seg/deeplabv3plus_{network}_ips_camvid.py', 'mIoU', 1),
    'bccd': Transfer('BCCD detection, SSD300, mAP %',
                     'det/ssd300_{network}_ips_bccd.py', 'pascal_voc/mAP', 100),
}


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    from mmengine.config import DictAction
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--npz', type=Path, required=True,
                        help='.npz with images_train, labels_train, images_test, labels_test')
    parser.add_argument('--max-classes', type=int, default=0, help='first K classes of the .npz')
    parser.add_argument('--per-class', type=int, default=0, help='first M images of each')
    parser.add_argument('--network', choices=['resnet18-w16', 'resnet50'], default='resnet18-w16',
                        help='resnet18-w16 (default) for CPUs, resnet50 for a GPU')
    parser.add_argument('--camvid', type=Path, default=Path('data/camvid'))
    parser.add_argument('--bccd', type=Path, default=Path('data/bccd/BCCD'))
    parser.add_argument('--tasks', nargs='+', choices=sorted(TASKS), default=list(TASKS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=training.cores(),
                        help='runs at a time (default: one per core)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/compare_transfer'))
    parser.add_argument('--fresh', action='store_true', help='train anew, forget old runs')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={},
                        metavar='KEY=VALUE', help='settings for the configs of the tasks')
    args = parser.parse_args(argv)
    if not args.npz.is_file():
        parser.error(f'--npz must name an existing .npz file, but got {args.npz}')
    for task in args.tasks:
        folder = getattr(args, task)
        if not folder.is_dir():
            parser.error(f'--{task} must name the folder of the dataset, but got {folder}: '
                         f'python tools/misc/check_data.py configs/{config_of(task, args.network)} '
                         'says what to get')
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, but got {args.jobs}')
    return args


def config_of(task: str, network: str) -> str:
    """The config of a task on a network, as ``mmips.cfg`` takes it."""
    return TASKS[task].config.format(network='r18-w16' if network == 'resnet18-w16' else 'r50')


def pretraining(args: argparse.Namespace) -> sweep.Sweep:
    """Both backbones with every seed."""
    cells = (sweep.Cell(STARTS[name], name, mmips.cfg(f'ips/{args.network}_{name}_npz.py'), {}, {})
             for name in ('hard', 'ips'))
    return sweep.Sweep('Pretraining', tuple(cells), {}, tuple(args.seeds), show_seeds=True,
                       curves=True)


def pretrain(args: argparse.Namespace) -> dict[str, list[dict]]:
    """Train both backbones with every seed; results by start."""
    found, work_dir = pretraining(args), args.work_dir / 'pretrain'
    sweep.train_cells(found, found.cells, work_dir, args.jobs, retry=True, fresh=args.fresh)
    results = sweep.report(found, found.cells, work_dir)
    return {cell.folder: [results[cell.name, seed] for seed in found.seeds]
            for cell in found.cells}


def load_task(task: str, args: argparse.Namespace, checkpoint: Path | None):
    """The config of a task that starts from a checkpoint, or from random weights without."""
    root = str(getattr(args, task).resolve())
    options = {f'{part}_dataloader.dataset.data_root': root for part in ('train', 'val', 'test')}
    # One process a core: workers would only take turns with it.
    options.update({f'{part}_dataloader.num_workers': 0 for part in ('train', 'val', 'test')})
    options.update(args.cfg_options)
    if checkpoint is not None:
        options['model.backbone.init_cfg.checkpoint'] = str(checkpoint)
    with contextlib.redirect_stdout(io.StringIO()):
        cfg = loading.load_config(mmips.cfg(config_of(task, args.network)), options)
    if checkpoint is None:
        cfg.model.backbone.init_cfg = None
        cfg.custom_hooks = [hook for hook in cfg.custom_hooks
                            if hook.type != 'mmips.CheckPretrained']
    loading.set_dataloader_defaults(cfg, ('train_dataloader', 'val_dataloader', 'test_dataloader'))
    # The last weights are what is reported; the best on the validation set are not kept.
    cfg.default_hooks.checkpoint.update(save_best=None, max_keep_ckpts=1)
    return cfg


def train_one(task: str, seed: int, folder: Path, args: argparse.Namespace,
              checkpoint: Path | None) -> dict:
    """Train one task with one seed in this process; returns its result."""
    cfg = load_task(task, args, checkpoint)
    return training.train_run(cfg, folder, seed, TASKS[task].metric,
                          [str(checkpoint)] if checkpoint else [], evaluate=['test'])


def transfer(args: argparse.Namespace) -> dict[str, dict[str, list[dict]]]:
    """Train every task from every start with every seed; results by task and start."""
    results: dict = {task: {start: [] for start in STARTS} for task in args.tasks}
    todo: list[training.Task] = []
    for seed in args.seeds:  # seeds outside: an interrupted comparison is still a comparison
        for task in args.tasks:
            for start in STARTS:
                folder = args.work_dir / task / start / f'seed{seed}'
                checkpoint = last_checkpoint(args.work_dir / 'pretrain' / start / f'seed{seed}')
                if args.fresh:
                    shutil.rmtree(folder, ignore_errors=True)
                cfg = load_task(task, args, checkpoint)
                data = [checkpoint] if checkpoint else []
                training.check_folder(folder, fingerprints.fingerprint(cfg, data))
                if (folder / 'result.json').is_file():
                    results[task][start].append(training.read_result(folder / 'result.json'))
                else:
                    todo.append((f'{task}/{start}', folder, train_one,
                                 (task, seed, folder, args, checkpoint)))
    for number, ((name, *_), result) in enumerate(training.run_tasks(todo, args.jobs), 1):
        task, _, start = name.partition('/')
        results[task][start].append(result)
        print(f'[{number}/{len(todo)}] {TASKS[task].title}, from {STARTS[start]}, seed '
              f'{result["seed"]}: {score(task, result):.2f} in {result["seconds"]:.0f} s',
              flush=True)
    return {task: {start: sorted(done, key=lambda r: r['seed']) for start, done in starts.items()}
            for task, starts in results.items()}


def last_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of a finished pretraining; None for a start that has none."""
    pointer = folder / 'last_checkpoint'
    # By name: the folder may have moved since.
    return folder.resolve() / Path(pointer.read_text()).name if pointer.is_file() else None


def score(task: str, result: dict) -> float:
    """The score on the test set in percent."""
    return TASKS[task].scale * result['test'][TASKS[task].metric]


def write_table(pretrained: dict, results: dict, work_dir: Path) -> str:
    """Write ``results.csv`` and ``results.md``; returns the Markdown table."""
    rows = [('pretraining, top-1 %', start, r['seed'], r['scores'][-1], r['images'][-1],
             r['seconds']) for start, done in pretrained.items() for r in done]
    rows += [(TASKS[task].title, start, r['seed'], score(task, r), r['images'][-1], r['seconds'])
             for task, starts in results.items() for start, done in starts.items() for r in done]
    with open(work_dir / 'results.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['what', 'start', 'seed', 'score', 'images_seen', 'seconds'])
        writer.writerows((what, start, seed, f'{value:.2f}', images, seconds)
                         for what, start, seed, value, images, seconds in rows)
    lines = ['| | start | images seen | seeds | mean ± std | above hard label |',
             '|---|---|---|---|---|---|']
    for what in dict.fromkeys(row[0] for row in rows):
        scores = {start: {row[2]: row[3] for row in rows if row[:2] == (what, start)}
                  for start in STARTS}
        for start, by_seed in scores.items():
            if by_seed:
                images = next(row[4] for row in rows if row[:2] == (what, start))
                lines.append(f'| {what} | {STARTS[start]} | {images:,} | '
                             + ', '.join(f'{k}: {v:.2f}' for k, v in by_seed.items())
                             + f' | {mean_std(list(by_seed.values()))} | '
                             f'{above(by_seed, scores["hard"]) if start != "hard" else ""} |')
    table = '\n'.join(lines)
    (work_dir / 'results.md').write_text(table + '\n')
    return table


def mean_std(values: list[float]) -> str:
    """Mean and, of two values or more, the sample standard deviation."""
    spread = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.2f}{spread}'


def above(scores: dict[int, float], hard: dict[int, float]) -> str:
    """Mean and standard deviation of the differences, seed by seed."""
    return mean_std([scores[seed] - hard[seed] for seed in scores if seed in hard]) if hard else ''


def draw(args: argparse.Namespace) -> None:
    """Draw ground truth and the first seed's predictions of every task, side by side."""
    tool = Path(__file__).parent / 'visualization' / 'compare_predictions.py'
    for task in args.tasks:
        folders = {start: args.work_dir / task / start / f'seed{args.seeds[0]}'
                   for start in STARTS}
        config = next(folders['ips'].glob('*.py'))
        subprocess.run(
            [sys.executable, '-W', 'ignore', str(tool), str(config),
             *(str(last_checkpoint(folder)) for folder in folders.values()),
             '--names', *STARTS.values(), '--baseline', STARTS['hard'],
             '--out', str(args.work_dir / f'{task}_predictions')],
            check=True)


@cli.readable_failures
def main(argv=None) -> None:
    """Run the comparison asked for on the command line."""
    args = parse_args(argv)
    os.environ.update(MMIPS_NPZ=str(args.npz.resolve()), MMIPS_MAX_CLASSES=str(args.max_classes),
                      MMIPS_PER_CLASS=str(args.per_class))
    pretrained = pretrain(args)
    results = transfer(args)
    print(write_table(pretrained, results, args.work_dir))
    draw(args)
    print(f'\nPictures and per-class tables: {args.work_dir}/*_predictions/, runs: '
          f'{args.work_dir}/*/*/seed*/')


if __name__ == '__main__':
    main()
