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
import io
import os
import shutil
import statistics
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mmips.engine import runs


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


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('family', choices=sorted(FAMILIES))
    parser.add_argument('--only', nargs='+', metavar='RECIPE', help='recipes to run (default: all)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--jobs', type=int, default=runs.cores(), help='runs at a time (default: '
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
    # mmengine announces the variables of a config; each run's own log has that too.
    with contextlib.redirect_stdout(io.StringIO()):
        cfg = cli.load_config(mmips.cfg(recipe.config), recipe.options)
    cfg.train_cfg.val_interval = max(1, cfg.train_cfg.max_epochs // 12)
    return cfg


def data_files(cfg) -> list[str]:
    """The data file of a config that reads one."""
    return [cfg.npz_file] if cfg.get('npz_file') else []


def train_one(recipe: Recipe, seed: int, work_dir: Path) -> dict:
    """Train one recipe with one seed in this process; returns its result."""
    cfg = load_recipe(recipe)
    result = runs.train_run(cfg, work_dir, seed, 'accuracy/top1', data_files(cfg))
    return {'recipe': asdict(recipe), **result}


def run_all(recipes: dict[str, Recipe], seeds: list[int], jobs: int, work_dir: Path,
            fresh: bool = False) -> dict[str, list[dict]]:
    """Train every recipe with every seed, ``jobs`` at a time; results by recipe."""
    results: dict[str, list[dict]] = {name: [] for name in recipes}
    todo: list[runs.Task] = []
    configs = {name: load_recipe(recipe) for name, recipe in recipes.items()}
    marks = {name: runs.fingerprint(cfg, data_files(cfg)) for name, cfg in configs.items()}
    for seed in seeds:  # seeds outside: an interrupted comparison is still a comparison
        for name, recipe in recipes.items():
            folder = work_dir / name / f'seed{seed}'
            if fresh:
                shutil.rmtree(folder, ignore_errors=True)
            runs.check_folder(folder, marks[name])
            if (folder / 'result.json').is_file():
                results[name].append(runs.read_result(folder / 'result.json'))
            else:
                todo.append((name, folder, train_one, (recipe, seed, folder)))
    for number, ((name, *_), result) in enumerate(runs.run_tasks(todo, jobs), 1):
        results[name].append(result)
        print(f'[{number}/{len(todo)}] {recipes[name].title}, seed {result["seed"]}: '
              f'{result["scores"][-1]:.2f} % in {result["seconds"]:.0f} s', flush=True)
    return {name: sorted(found, key=lambda r: r['seed']) for name, found in results.items()}


def write_table(results: dict[str, list[dict]], recipes: dict[str, Recipe], work_dir: Path) -> str:
    """Write ``results.csv`` and ``results.md``; returns the Markdown table."""
    with open(work_dir / 'results.csv', 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['recipe', 'seed', 'images_seen', 'top1', 'seconds'])
        for name, done in results.items():
            writer.writerows([name, r['seed'], r['images'][-1], f'{r["scores"][-1]:.2f}',
                              r['seconds']] for r in done)
    rows = ['| recipe | images seen | seeds: top-1 % | mean ± std |', '|---|---|---|---|']
    for name, done in results.items():
        last = [r['scores'][-1] for r in done]
        std = f' ± {statistics.stdev(last):.2f}' if len(last) > 1 else ''
        seeds = ', '.join(f'{r["seed"]}: {a:.2f}' for r, a in zip(done, last))
        rows.append(f'| {recipes[name].title} | {done[0]["images"][-1]:,} | {seeds} | '
                    f'{statistics.mean(last):.2f}{std} |')
    table = '\n'.join(rows)
    (work_dir / 'results.md').write_text(table + '\n')
    return table


def common_points(done: list[dict]) -> tuple[list[int], list[list[float]]]:
    """Numbers of images at which every run was tested, and the accuracies of all runs there."""
    curves = [dict(zip(run['images'], run['scores'])) for run in done]
    images = sorted(set.intersection(*map(set, curves)))
    return images, [[curve[x] for curve in curves] for x in images]


def plot_curves(results: dict[str, list[dict]], recipes: dict[str, Recipe], path: Path) -> None:
    """Draw test accuracy over images seen: mean, and a band from the lowest to the highest seed."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(8, 5), layout='constrained')
    for index, (name, done) in enumerate(results.items()):
        images, columns = common_points(done)
        mean = [statistics.mean(c) for c in columns]
        final = statistics.mean(r['scores'][-1] for r in done)
        line, = axes.plot(images, mean, marker='o', markersize=3, linewidth=2, color=f'C{index}',
                          label=f'{recipes[name].title}: {final:.1f} %')
        axes.fill_between(images, [min(c) for c in columns], [max(c) for c in columns],
                          color=line.get_color(), alpha=0.15, linewidth=0)
    # The race is decided near the top: the first, low points would squeeze it flat.
    finals = [r['scores'][-1] for done in results.values() for r in done]
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
        results = run_all(recipes, list(seeds), jobs or runs.cores(), work_dir, fresh)
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
