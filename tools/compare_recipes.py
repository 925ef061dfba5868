# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Train recipes side by side on one dataset, several seeds each, and compare accuracies.

Every recipe of a family sees the same number of images in the same number of steps.
Examples::

    python tools/compare_recipes.py digits --only hard ips
    python tools/compare_recipes.py npz --npz data/cifar100.npz --max-classes 20 --per-class 100

Writes ``results.csv``, ``results.md`` and ``curves.png`` to the work directory. A run that is
finished is not run again; one that was interrupted resumes from its last checkpoint. Both only
with the config and the data of its start: for others give ``--fresh`` or another ``--work-dir``.
"""
import argparse
import contextlib
import csv
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Recipe:
    """A named way of training: a config and what differs from it."""

    title: str
    config: str
    options: dict = field(default_factory=dict)


_QUERY_ONLY = {'model.alpha': 0.0, 'model.ce_on': 'query'}
_NO_SWAP = {'model.train_cfg.augments.0.prob': 0.0}
FAMILIES = {
    'digits': {
        'hard': Recipe('hard label', 'ips/resnet-s_hard_digits.py'),
        'ips': Recipe('IPS 2x2', 'ips/resnet-s_ips_digits.py'),
        'no-swap': Recipe('pairs without swap', 'ips/resnet-s_ips_digits.py', _NO_SWAP),
        'no-distill': Recipe('pairs without distillation', 'ips/resnet-s_ips_digits.py',
                             {'model.alpha': 0.0}),
    },
    'npz': {
        'hard': Recipe('hard label', 'ips/resnet-s_hard_npz.py'),
        'ips': Recipe('IPS 4x4', 'ips/resnet-s_ips_npz.py'),
        'ips-2x2': Recipe('IPS 2x2', 'ips/resnet-s_ips_npz.py',
                          {'model.train_cfg.augments.0.grid_size': 2}),
        'ips-prog': Recipe('IPS 4x4, progressive', 'ips/resnet-s_ips-prog_npz.py'),
        'ips-eqcost': Recipe('IPS 4x4, each image once an epoch', 'ips/resnet-s_ips-eqcost_npz.py'),
        'no-swap': Recipe('pairs without swap', 'ips/resnet-s_ips_npz.py', _NO_SWAP),
        'no-distill': Recipe('pairs without distillation', 'ips/resnet-s_ips_npz.py',
                             {'model.alpha': 0.0}),
        'swap-only': Recipe('"+Swap": query half alone, no KL', 'ips/resnet-s_ips_npz.py',
                            _QUERY_ONLY),
    },
    'backbone': {
        'hard': Recipe('hard label', 'ips/resnet18-w16_hard_npz.py'),
        'ips': Recipe('IPS 4x4', 'ips/resnet18-w16_ips_npz.py'),
    },
}


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('family', choices=sorted(FAMILIES))
    parser.add_argument('--only', nargs='+', metavar='RECIPE', help='recipes to run (default: all)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=cores(), help='runs at a time (default: '
                        'one per core)')
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/compare_FAMILY')
    parser.add_argument('--fresh', action='store_true',
                        help='train the chosen recipes and seeds anew, forget their old runs')
    parser.add_argument('--npz', type=Path, help='.npz with images_train, labels_train, ..._test')
    parser.add_argument('--max-classes', type=int, default=0, help='first K classes of the .npz')
    parser.add_argument('--per-class', type=int, default=0, help='first M images of each')
    args = parser.parse_args(argv)
    unknown = set(args.only or []) - set(FAMILIES[args.family])
    if unknown:
        parser.error(f'no recipe {sorted(unknown)} in {args.family}: choose from '
                     f'{sorted(FAMILIES[args.family])}')
    if args.family != 'digits' and not (args.npz and args.npz.is_file()):
        parser.error(f'--npz must name an existing .npz file, but got {args.npz}')
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, but got {args.jobs}')
    args.work_dir = args.work_dir or Path('work_dirs') / f'compare_{args.family}'
    return args


def load_recipe(recipe: Recipe):
    """The config of a recipe, its options merged."""
    import mmips
    from mmips.engine import cli
    cfg = cli.load_config(mmips.cfg(recipe.config), recipe.options)
    cfg.train_cfg.val_interval = max(1, cfg.train_cfg.max_epochs // 12)
    return cfg


def fingerprint(cfg) -> dict:
    """What a run's numbers depend on, its seed aside: the merged config and the data file."""
    # As JSON: pretty_text takes a second a config.
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=repr)
    mark: dict = {'config': hashlib.sha256(text.encode()).hexdigest()}
    if cfg.get('npz_file'):
        stat = os.stat(cfg.npz_file)
        mark.update(npz=os.path.abspath(cfg.npz_file), size=stat.st_size, mtime=stat.st_mtime_ns,
                    max_classes=cfg.max_classes, per_class=cfg.per_class)
    return mark


def check_folder(run_dir: Path, mark: dict) -> None:
    """Raise where a folder holds a run of another config or other data.

    Args:
        run_dir (Path): Folder of one run.
        mark (dict): The :func:`fingerprint` of the run to be.

    Raises:
        ValueError: It names the folder, what differs and what to do.
    """
    if not any((run_dir / name).exists() for name in ('result.json', 'last_checkpoint')):
        return
    stored = run_dir / 'fingerprint.json'
    old = json.loads(stored.read_text()) if stored.is_file() else {}
    if old != mark:
        differing = [key for key in {**mark, **old} if old.get(key) != mark.get(key)]
        what = f'another setup (differing: {", ".join(differing)})' if old else 'an unknown setup'
        raise ValueError(f'{run_dir} holds a run of {what}. Train anew with --fresh, or give '
                         'another --work-dir.')


def train_one(recipe: Recipe, seed: int, work_dir: Path) -> dict:
    """Train one recipe with one seed in this process; returns and stores its result."""
    work_dir.mkdir(parents=True, exist_ok=True)
    with open(work_dir / 'train.log', 'a') as log, contextlib.redirect_stdout(log), \
            contextlib.redirect_stderr(log):
        result = _train(recipe, seed, work_dir)
    _write_json(work_dir / 'result.json', result)
    return result


def _train(recipe: Recipe, seed: int, work_dir: Path) -> dict:
    from mmengine.runner import Runner
    cfg = load_recipe(recipe)
    mark = fingerprint(cfg)
    check_folder(work_dir, mark)
    _write_json(work_dir / 'fingerprint.json', mark)
    cfg.merge_from_dict({'randomness.seed': seed, 'work_dir': str(work_dir)})
    cfg.resume = (work_dir / 'last_checkpoint').is_file()
    start = time.time()
    runner = Runner.from_cfg(cfg)
    scores = work_dir / 'scores.json'
    runner.register_hook(_score_keeper(scores), priority='LOWEST')
    runner.train()
    accuracy = _read_scores(scores)
    epochs = [*range(runner.val_interval, runner.max_epochs, runner.val_interval),
              runner.max_epochs]
    missing = [epoch for epoch in epochs if epoch not in accuracy]
    if missing:
        raise RuntimeError(f'{scores} has no accuracy of the epochs {missing}: train anew, with '
                           '--fresh.')
    per_epoch = len(runner.train_dataloader.sampler)
    return dict(
        recipe=asdict(recipe),
        seed=seed,
        images=[epoch * per_epoch for epoch in epochs],
        accuracy=[accuracy[epoch] for epoch in epochs],
        seconds=round(time.time() - start, 1),
        resumed=cfg.resume)


def _read_scores(path: Path) -> dict[int, float]:
    """Accuracy in percent by epoch, empty where no epoch was validated yet."""
    return {int(epoch): float(value) for epoch, value in json.loads(path.read_text()).items()
            } if path.is_file() else {}


def _write_json(path: Path, content: dict) -> None:
    # In one step: a kill leaves the old file or the new one, never half of it.
    partial = path.with_suffix('.tmp')
    partial.write_text(json.dumps(content, indent=1))
    partial.replace(path)


def _score_keeper(path: Path):
    """A hook that keeps the accuracy of every epoch, whatever becomes of the process."""
    from mmengine.hooks import Hook

    class ScoreKeeper(Hook):
        """Writes each validation; makes up for one that a kill has prevented."""

        def before_train(self, runner) -> None:
            # A checkpoint is saved before its epoch is validated, and a resumed run goes on
            # with the next epoch, of which there is none after the last.
            epoch = runner.epoch
            due = epoch % runner.val_interval == 0 or epoch == runner.max_epochs
            if epoch and due and epoch not in _read_scores(path):
                runner.val_loop.run()

        def after_val_epoch(self, runner, metrics=None) -> None:
            _write_json(path, {**_read_scores(path), runner.epoch: metrics['accuracy/top1']})

    return ScoreKeeper()


def _read_result(path: Path) -> dict:
    result = json.loads(path.read_text())
    if len(result['images']) != len(result['accuracy']) or not result['accuracy']:
        sys.exit(f'{path} has {len(result["accuracy"])} accuracies at {len(result["images"])} '
                 'numbers of images, but each needs the other. Train this run anew, with --fresh.')
    return result


def run_all(recipes: dict[str, Recipe], seeds: list[int], jobs: int, work_dir: Path,
            fresh: bool = False) -> dict[str, list[dict]]:
    """Train every recipe with every seed, ``jobs`` at a time; results by recipe."""
    results: dict[str, list[dict]] = {name: [] for name in recipes}
    todo = []
    # mmengine announces the variables of a config; each run's own log has that too.
    with contextlib.redirect_stdout(io.StringIO()):
        marks = {name: fingerprint(load_recipe(recipe)) for name, recipe in recipes.items()}
    for seed in seeds:  # seeds outside: an interrupted comparison is still a comparison
        for name, recipe in recipes.items():
            run_dir = work_dir / name / f'seed{seed}'
            if fresh:
                shutil.rmtree(run_dir, ignore_errors=True)
            check_folder(run_dir, marks[name])
            if (run_dir / 'result.json').is_file():
                results[name].append(_read_result(run_dir / 'result.json'))
            else:
                todo.append((name, recipe, seed, run_dir))
    for number, (name, result) in enumerate(_finish(todo, jobs), 1):
        results[name].append(result)
        print(f'[{number}/{len(todo)}] {recipes[name].title}, seed {result["seed"]}: '
              f'{result["accuracy"][-1]:.2f} % in {result["seconds"]:.0f} s', flush=True)
    return {name: sorted(runs, key=lambda r: r['seed']) for name, runs in results.items()}


def _finish(todo: list[tuple], jobs: int) -> Iterator[tuple[str, dict]]:
    """Train ``(name, recipe, seed, folder)``, ``jobs`` at a time; yields name and result."""
    # The cores are shared out among the runs; OMP_NUM_THREADS of the user's own wins.
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, cores() // jobs)))
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context('spawn'),
                               initializer=_quiet)
    waiting, running = list(todo), {}
    try:
        while waiting or running:
            # No more than can run: what the pool has queued for its workers it cannot cancel.
            while waiting and len(running) < jobs:
                name, recipe, seed, run_dir = waiting.pop(0)
                running[pool.submit(train_one, recipe, seed, run_dir)] = (name, run_dir)
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                name, run_dir = running.pop(done)
                if done.exception():
                    sys.exit(_failure(name, run_dir, done.exception(), len(running)))
                yield name, done.result()
    finally:
        # Not waiting, so that a failure is reported at once.
        pool.shutdown(wait=False, cancel_futures=True)


def _failure(name: str, run_dir: Path, error: BaseException | None, running: int) -> str:
    others = f' {running} running now will end first.' if running else ''
    return (f'{name} failed ({error}). Log: {run_dir}/train.log. Finished runs are kept: start '
            f'again after mending it.{others}')


def _quiet() -> None:
    import warnings

    import torch
    warnings.simplefilter('ignore')
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))


def write_table(results: dict[str, list[dict]], recipes: dict[str, Recipe], work_dir: Path) -> str:
    """Write ``results.csv`` and ``results.md``; returns the Markdown table."""
    with open(work_dir / 'results.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['recipe', 'seed', 'images_seen', 'top1', 'seconds'])
        for name, runs in results.items():
            writer.writerows([name, r['seed'], r['images'][-1], f'{r["accuracy"][-1]:.2f}',
                              r['seconds']] for r in runs)
    rows = ['| recipe | images seen | seeds: top-1 % | mean ± std |', '|---|---|---|---|']
    for name, runs in results.items():
        last = [r['accuracy'][-1] for r in runs]
        std = f' ± {statistics.stdev(last):.2f}' if len(last) > 1 else ''
        seeds = ', '.join(f'{r["seed"]}: {a:.2f}' for r, a in zip(runs, last))
        rows.append(f'| {recipes[name].title} | {runs[0]["images"][-1]:,} | {seeds} | '
                    f'{statistics.mean(last):.2f}{std} |')
    table = '\n'.join(rows)
    (work_dir / 'results.md').write_text(table + '\n')
    return table


def common_points(runs: list[dict]) -> tuple[list[int], list[list[float]]]:
    """Numbers of images at which every run was tested, and the accuracies of all runs there."""
    curves = [dict(zip(run['images'], run['accuracy'])) for run in runs]
    images = sorted(set.intersection(*map(set, curves)))
    return images, [[curve[x] for curve in curves] for x in images]


def plot_curves(results: dict[str, list[dict]], recipes: dict[str, Recipe], path: Path) -> None:
    """Draw test accuracy over images seen: mean, and a band from the lowest to the highest seed."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(8, 5), layout='constrained')
    for index, (name, runs) in enumerate(results.items()):
        images, columns = common_points(runs)
        mean = [statistics.mean(c) for c in columns]
        final = statistics.mean(r['accuracy'][-1] for r in runs)
        line, = axes.plot(images, mean, marker='o', markersize=3, linewidth=2, color=f'C{index}',
                          label=f'{recipes[name].title}: {final:.1f} %')
        axes.fill_between(images, [min(c) for c in columns], [max(c) for c in columns],
                          color=line.get_color(), alpha=0.15, linewidth=0)
    # The race is decided near the top: the first, low points would squeeze it flat.
    finals = [r['accuracy'][-1] for runs in results.values() for r in runs]
    axes.set_ylim(min(finals) - 2.5 * (max(finals) - min(finals)) - 2, min(100, max(finals) + 2))
    axes.set(xlabel='training images seen', ylabel='test accuracy, top-1 %')
    axes.xaxis.set_major_formatter(lambda value, _: f'{value / 1000:g}k')
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)
    # Below the axes, where six recipes do not cover a curve.
    figure.legend(loc='outside lower center', frameon=False, ncols=2, fontsize='small',
                  title=f'mean of {len(next(iter(results.values())))} seeds, band: all of them')
    figure.savefig(path, dpi=150)
    plt.close(figure)


def compare(family: str, only=None, seeds=(0, 1, 2), jobs=None, work_dir=None,
            fresh=False) -> str:
    """Run a family of recipes and write table and plot; returns the Markdown table."""
    recipes = {n: FAMILIES[family][n] for n in (only or FAMILIES[family])}
    work_dir.mkdir(parents=True, exist_ok=True)
    try:
        results = run_all(recipes, list(seeds), jobs or cores(), work_dir, fresh)
    except ValueError as error:  # of a config or a folder, before anything has started
        sys.exit(str(error))
    table = write_table(results, recipes, work_dir)
    plot_curves(results, recipes, work_dir / 'curves.png')
    return table


def main(argv=None) -> None:
    """Run the comparison asked for on the command line."""
    args = parse_args(argv)
    if args.npz:
        os.environ.update(
            MMIPS_NPZ=str(args.npz.resolve()),
            MMIPS_MAX_CLASSES=str(args.max_classes),
            MMIPS_PER_CLASS=str(args.per_class))
    print(compare(args.family, args.only, args.seeds, args.jobs, args.work_dir, args.fresh))
    print(f'\nCurves: {args.work_dir}/curves.png, runs: {args.work_dir}/*/seed*/')


if __name__ == '__main__':
    main()
