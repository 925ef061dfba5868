# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Train the recipes of a sweep, each with every seed, and collect what comes out.

A sweep has a folder; a run of it is in ``RECIPE/seedK``, with what :mod:`mmips.runs.training`
keeps and the checkpoints ``epoch_N.pth``.
"""
import argparse
import contextlib
import functools
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmips.errors import UserError
from mmips.runs import files, scheduling, training
from mmips.runs.fingerprints import fingerprint
from mmips.runs.scheduling import Engine, Task
from mmips.runs.sweep_checks import check_recipes, data_files, load_recipe
from mmips.runs.sweep_file import read_sweep
from mmips.runs.sweep_recipes import RANDOM, Recipe, Sweep, choose_recipes
from mmips.runs.sweep_tables import Results, curves_frame, heatmap_frames, write_results


def use_npz(args: argparse.Namespace) -> None:
    """Tell the npz configs, here and in other processes, what a command line says."""
    for name in ('npz', 'max_classes', 'per_class'):
        if getattr(args, name) is not None:
            os.environ[f'MMIPS_{name.upper()}'] = str(getattr(args, name))


def run_sweep(args: argparse.Namespace) -> None:
    """What ``tools/analysis_tools/sweep.py`` does; its help tells the arguments."""
    use_npz(args)
    found, options = read_sweep(args.sweep), args.cfg_options or {}
    found = found.but(
        seeds=tuple(dict.fromkeys(args.seeds or found.seeds)),
        recipes=tuple(recipe.but(options={**recipe.options, **options})
                      for recipe in found.recipes))
    recipes = choose_recipes(found, args.only)
    if args.list:
        check_recipes(found, recipes, data=False)
        print('\n'.join(f'{recipe.name}   ({recipe.folder})' for recipe in recipes))
        return
    if not args.collect:
        train_recipes(found, recipes, args.work_dir, _engine(args), args.retry_failed, args.fresh)
    report(found, recipes, args.work_dir)


def _engine(args: argparse.Namespace) -> Engine:
    if args.engine == 'local':
        return functools.partial(scheduling.run_local, **scheduling.local_places(
            args.devices, args.jobs, args.jobs_per_device))
    options = {**args.slurm, **(dict(array_parallelism=args.jobs) if args.jobs else {})}
    return functools.partial(scheduling.run_slurm, folder=args.work_dir / 'slurm', options=options)


def folder_of(work_dir: Path, recipe: Recipe, seed: int) -> Path:
    """Where a recipe is trained with a seed."""
    return work_dir / recipe.folder / f'seed{seed}'


def start_of(sweep: Sweep, recipe: Recipe, seed: int, work_dir: Path) -> Path | None:
    """The checkpoint that a run starts from, None for random weights or what the config says."""
    if recipe.start in ('', RANDOM):
        return None
    start, = [other for other in sweep.recipes if other.name == recipe.start]
    folder = folder_of(work_dir, start, seed)
    checkpoint = training.last_checkpoint(folder)
    if checkpoint is None or not (folder / 'result.json').is_file():
        raise UserError(f'{recipe.name}, seed {seed}, starts from {start.name}, which has not '
                        f'ended with this seed in {folder}: train that too.')
    return checkpoint


def train_recipe(sweep: Sweep, recipe: Recipe, seed: int, work_dir: Path) -> dict:
    """Train one recipe with one seed in this process, or go on with it."""
    checkpoint = start_of(sweep, recipe, seed, work_dir)
    cfg = load_recipe(sweep, recipe, checkpoint=checkpoint)
    return training.train_run(
        cfg, folder_of(work_dir, recipe, seed), seed, sweep.metric_of(recipe),
        data_files(cfg, checkpoint), sweep.evaluate, (sweep.title, recipe.name))


def collect(sweep: Sweep, work_dir: Path) -> Results:
    """The runs of a sweep that have ended, in the order of its recipes."""
    results = {}
    for recipe in sweep.recipes:
        for seed in sweep.seeds:
            folder = folder_of(work_dir, recipe, seed)
            result = files.read_results(folder / 'result.json')
            # One that was not evaluated everywhere goes on from its last weights.
            if not set(sweep.evaluate) <= set(result):
                result = files.read_results(folder / 'failure.json')
            results[recipe.name, seed] = result
    return {run: result for run, result in results.items() if result}


def train_recipes(sweep: Sweep, recipes: Sequence[Recipe], work_dir: Path, engine: Engine,
                  retry: bool = False, fresh: bool = False,
                  write: Callable[[Sweep, Results, Path], Any] = write_results) -> None:
    """Check everything, then train what is missing; each end is told and the tables written.

    With ``retry`` what has failed is trained again, with ``fresh`` everything.
    """
    # The tables have the others too, so what they hold must be of this sweep.
    others = [recipe for recipe in sweep.recipes if recipe not in recipes]
    configs = {**check_recipes(sweep, others, data=False), **check_recipes(sweep, recipes)}
    for folder in (folder_of(work_dir, recipe, seed) for recipe in recipes for seed in sweep.seeds):
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        if retry:
            (folder / 'failure.json').unlink(missing_ok=True)
    for recipe in sweep.recipes:
        _check_folders(sweep, recipe, configs[recipe.config], work_dir)
    results = collect(sweep, work_dir)
    # Seeds outside: an interrupted comparison is still a comparison.
    todo = [(recipe, seed) for seed in sweep.seeds for recipe in recipes
            if (recipe.name, seed) not in results]
    start, number = time.time(), 0
    try:
        for wave in sweep.waves(recipes):
            for recipe in wave:
                _check_folders(sweep, recipe, configs[recipe.config], work_dir)
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


def _check_folders(sweep: Sweep, recipe: Recipe, cfg: Any, work_dir: Path) -> None:
    """Check a recipe's folders, as far as what it starts from is there."""
    for seed in sweep.seeds:
        try:
            checkpoint = start_of(sweep, recipe, seed, work_dir)
        except UserError:
            continue
        own = load_recipe(sweep, recipe, cfg, checkpoint)
        training.check_folder(folder_of(work_dir, recipe, seed),
                              fingerprint(own, data_files(own, checkpoint)))


def _outcome(sweep: Sweep, recipe: Recipe, result: dict) -> str:
    if 'failed' in result:
        return f'failed: {result["failed"]}'
    metric = sweep.metric_of(recipe)
    return f'{metric} {result[sweep.evaluate[0]][metric]:.2f} in {result["seconds"]:.0f} s'


def report(sweep: Sweep, recipes: Sequence[Recipe], work_dir: Path) -> None:
    """Write and print the tables and draw the pictures of all recipes."""
    from mmips.visualization.sweep import draw_curves, draw_heatmaps
    results = collect(sweep, work_dir)
    print(write_results(sweep, results, work_dir))
    pictures: dict[str, Any] = {
        'heatmaps.png': sweep.heatmaps and draw_heatmaps(
            sweep.title, heatmap_frames(sweep, results), sweep.heatmaps.panels, sweep.metric,
            sweep.lower),
        'curves.png': sweep.curves and draw_curves(
            sweep.title, curves_frame(sweep, results), sweep.metric, sweep.lower)}
    drawn = {name: figure for name, figure in pictures.items() if figure}
    for name, figure in drawn.items():
        files.write_picture(work_dir / name, figure, dpi=150)
    print(f'In {work_dir}: {", ".join(["results.csv, .json, .md, .tex", *drawn])}')
    check_failures(sweep, recipes, work_dir)


def check_failures(sweep: Sweep, recipes: Sequence[Recipe], work_dir: Path) -> None:
    """Raise a UserError where one of some recipes has failed, with its log."""
    results = collect(sweep, work_dir)
    failed = [f'{recipe.name}, seed {seed}, failed ({results[recipe.name, seed]["failed"]}). Log: '
              f'{folder_of(work_dir, recipe, seed)}/train.log'
              for recipe in recipes for seed in sweep.seeds
              if 'failed' in results.get((recipe.name, seed), {})]
    if failed:
        raise UserError('\n'.join([*failed, 'The others are finished. After mending it start '
                                            'again; sweep.py needs --retry-failed.']))
