# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Train the recipes of a sweep, each with every seed, and collect what comes out.

A sweep has a folder; a run of it is in ``RECIPE/seedK``, with what :mod:`mmips.runs.training`
keeps and the checkpoints ``epoch_N.pth``; :mod:`mmips.runs.sweep_runs` reads these folders.
"""
import argparse
import contextlib
import functools
import itertools
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmips.errors import UserError
from mmips.runs import files, scheduling, training
from mmips.runs.scheduling import Engine, Task
from mmips.runs.sweep_checks import check_recipes, data_files, load_recipe, read_configs
from mmips.runs.sweep_file import read_sweep
from mmips.runs.sweep_recipes import Recipe, Sweep, choose_recipes
from mmips.runs.sweep_runs import check_folders, collect, folder_of, start_of
from mmips.runs.sweep_tables import Results, curves_frame, heatmap_frames, write_results
from mmips.version import __version__


def use_npz(args: argparse.Namespace) -> None:
    """Tell the npz configs, here and in other processes, what a command line says."""
    for name in ('npz', 'max_classes', 'per_class'):
        if getattr(args, name) is not None:
            os.environ[f'MMIPS_{name.upper()}'] = str(getattr(args, name))


def run_sweep(args: argparse.Namespace) -> None:
    """What ``tools/analysis_tools/sweep.py`` does; its help tells the arguments."""
    use_npz(args)
    found, options = read_sweep(args.sweep), args.cfg_options or {}
    for key in options:
        if len({repr(recipe.options.get(key)) for recipe in found.recipes if recipe.axes}) > 1:
            raise UserError(f'--cfg-options {key}: an axis of {args.sweep} sets this, and its '
                            'names would be wrong. Change it in the file.')
    found = found.but(
        seeds=tuple(dict.fromkeys(args.seeds or found.seeds)),
        recipes=tuple(recipe.but(options={**recipe.options, **options})
                      for recipe in found.recipes))
    recipes = choose_recipes(found, args.only)
    if any((args.npz, args.max_classes, args.per_class)) and not any(
            'npz_file' in cfg for cfg in read_configs(recipes).values()):
        raise UserError('--npz, --max-classes and --per-class would have no effect: no config of '
                        'the recipes reads them.')
    if args.list:
        check_recipes(found, recipes, data=False)
        print('\n'.join(f'{recipe.name}   ({recipe.folder})' for recipe in recipes))
        return
    results = collect(found, args.work_dir) if args.collect else train_recipes(
        found, recipes, args.work_dir, _engine(args), args.retry_failed, args.fresh)
    report(found, results, args.work_dir)
    check_failures(found, recipes, results, args.work_dir)


def _engine(args: argparse.Namespace) -> Engine:
    if args.engine == 'local':
        return functools.partial(scheduling.run_local, **scheduling.local_places(
            args.devices, args.jobs, args.jobs_per_device))
    options = {**args.slurm, **(dict(array_parallelism=args.jobs) if args.jobs else {})}
    return functools.partial(scheduling.run_slurm, folder=args.work_dir / 'slurm', options=options)


def train_recipe(sweep: Sweep, recipe: Recipe, seed: int, work_dir: Path) -> dict:
    """Train one recipe with one seed in this process, or go on with it; the version is kept."""
    checkpoint = start_of(sweep, recipe, seed, work_dir)
    cfg = load_recipe(sweep, recipe, checkpoint=checkpoint)
    result = training.train_run(
        cfg, folder_of(work_dir, recipe, seed), seed, sweep.metric_of(recipe),
        data_files(cfg, checkpoint), sweep.evaluate, (sweep.title, recipe.name))
    return {**result, 'mmips_version': __version__}


def train_recipes(sweep: Sweep, recipes: Sequence[Recipe], work_dir: Path, engine: Engine,
                  retry: bool = False, fresh: bool = False,
                  write: Callable[[Sweep, Results, Path], Any] = write_results) -> Results:
    """Check everything, then train what is missing; each end is told and the tables written.

    With ``retry`` what has failed is trained again, with ``fresh`` everything. Returns the results
    of all recipes of the sweep.
    """
    # The tables have the others too, so what they hold must be of this sweep.
    others = [recipe for recipe in sweep.recipes if recipe not in recipes]
    configs = {**check_recipes(sweep, others, data=False), **check_recipes(sweep, recipes)}
    for folder in (folder_of(work_dir, recipe, seed) for recipe in recipes for seed in sweep.seeds):
        if fresh and folder.exists():
            shutil.rmtree(folder)
        if retry:
            (folder / 'failure.json').unlink(missing_ok=True)
    check_folders(sweep, sweep.recipes, work_dir, configs)
    results = collect(sweep, work_dir, configs)
    # Seeds outside: an interrupted comparison is still a comparison.
    todo = [(recipe, seed) for seed in sweep.seeds for recipe in recipes
            if (recipe.name, seed) not in results]
    start, number = time.time(), 0
    try:
        for wave in sweep.waves(recipes):
            check_folders(sweep, wave, work_dir, configs)
            tasks = [Task(folder_of(work_dir, recipe, seed), train_recipe,
                          (sweep, recipe, seed, work_dir))
                     for recipe, seed in todo if recipe in wave]
            # Closed at once when it is interrupted: nothing trains on.
            with contextlib.closing(engine(tasks)) as ended:
                for task, result in ended:
                    _, recipe, seed, _ = task.arguments
                    results[recipe.name, seed] = result
                    write(sweep, results, work_dir)
                    number += 1
                    left = (time.time() - start) / number * (len(todo) - number) / 60
                    print(f'[{number}/{len(todo)}] {recipe.name}, seed {seed}: '
                          f'{_outcome(sweep, recipe, result)}; about {left:.0f} min left',
                          flush=True)
    except KeyboardInterrupt:
        raise UserError(f'Interrupted. Finished runs are kept in {work_dir}, the others resume '
                        'with the same command.') from None
    # Again: what some start from may only now be there.
    return collect(sweep, work_dir, configs)


def _outcome(sweep: Sweep, recipe: Recipe, result: dict) -> str:
    if 'failed' in result:
        return f'failed: {result["failed"]}'
    metric = sweep.metric_of(recipe)
    return f'{metric} {result[sweep.evaluate[0]][metric]:.2f} in {result["seconds"]:.0f} s'


def report(sweep: Sweep, results: Results, work_dir: Path) -> None:
    """Write and print the tables and draw the pictures of all recipes."""
    from mmips.visualization.sweep import draw_curves, draw_heatmaps
    print(write_results(sweep, results, work_dir))
    pictures: dict[str, Any] = {
        'heatmaps.png': sweep.heatmaps and draw_heatmaps(
            sweep.title, heatmap_frames(sweep, results), sweep.heatmaps.panels, sweep.metric,
            sweep.lower),
        'curves.png': sweep.curves and draw_curves(
            sweep.title, curves_frame(sweep, results), sweep.metric, sweep.lower)}
    drawn = {name: figure for name, figure in pictures.items() if figure}
    found = {metric for result in results.values() for split in sweep.evaluate
             for metric in result.get(split, ())}
    if found and (missing := [metric for metric in sweep.more if metric not in found]):
        print(f'No run has {", ".join(missing)} yet: configs/sweeps/README.md says where from.')
    for name, figure in drawn.items():
        files.write_picture(work_dir / name, figure, dpi=150)
    print(f'In {work_dir}: {", ".join(["results.csv, .json, .md, .tex", *drawn])}')


def check_failures(sweep: Sweep, recipes: Sequence[Recipe], results: Results, work_dir: Path
                   ) -> None:
    """Say which numbers are of other versions of mmips; raise a UserError where a run has failed.

    That is for some of the recipes, and names the logs.
    """
    versions: dict[str, list[str]] = {}
    for (name, seed), result in results.items():
        if 'failed' not in result:
            versions.setdefault(result.get('mmips_version') or 'an unknown one', []).append(
                f'{name}, seed {seed}')
    for version in sorted(versions.keys() - {__version__}):
        print(f'Trained with another version of mmips ({version}, this is {__version__}): '
              f'{"; ".join(versions[version])}. To train anew: --fresh.')
    failed = []
    for recipe, seed in itertools.product(recipes, sweep.seeds):
        result = results.get((recipe.name, seed), {})
        if result.get('left_out'):
            failed.append(f'{recipe.name}, seed {seed}, is left out: {result["failed"]}')
        elif 'failed' in result:
            failed.append(f'{recipe.name}, seed {seed}, failed ({result["failed"]}). Log: '
                          f'{folder_of(work_dir, recipe, seed)}/train.log')
    if failed:
        raise UserError('\n'.join([*failed, 'The others are kept. After mending it start again; '
                                            'what has failed in training needs --retry-failed.']))
