# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Train the recipes of a sweep, each with every seed, and collect what comes out.

A sweep has a folder; a run of it is in ``RECIPE/seedK``, with what :mod:`mmips.runs.training`
keeps and the checkpoints ``epoch_N.pth``.
"""
import contextlib
import functools
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
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

__all__ = ['Recipe', 'Results', 'Sweep', 'check_failures', 'choose_recipes', 'collect',
           'folder_of', 'read_sweep', 'report', 'run_sweep', 'start_of', 'train_recipe',
           'train_recipes', 'use_npz']


def use_npz(path: Path | None, max_classes: int | None, per_class: int | None) -> None:
    """Tell the npz configs, here and in other processes, what to read."""
    for name, value in (('NPZ', path and path.resolve()), ('MAX_CLASSES', max_classes),
                        ('PER_CLASS', per_class)):
        if value is not None:
            os.environ[f'MMIPS_{name}'] = str(value)


def run_sweep(sweep: Path, work_dir: Path, engine: str = 'local', *, slurm: Mapping = {},
              jobs: int | None = None, devices: Sequence[str] | None = None,
              jobs_per_device: int = 1, seeds: Sequence[int] | None = None,
              only: Sequence[str] = (), cfg_options: Mapping = {}, retry_failed: bool = False,
              fresh: bool = False, list: bool = False, collect: bool = False) -> None:
    """What ``tools/analysis_tools/sweep.py`` does; its help tells the arguments."""
    found = read_sweep(sweep)
    found = found.but(
        seeds=tuple(dict.fromkeys(seeds or found.seeds)),
        recipes=tuple(recipe.but(options={**recipe.options, **cfg_options})
                      for recipe in found.recipes))
    recipes = choose_recipes(found, only)
    if list:
        check_recipes(found, recipes, data=False)
        print('\n'.join(f'{recipe.name}   ({recipe.folder})' for recipe in recipes))
        return
    if not collect:
        run: Engine = (
            functools.partial(scheduling.run_slurm, folder=work_dir / 'slurm', options=dict(
                slurm, **dict(array_parallelism=jobs) if jobs else {})) if engine == 'slurm' else
            functools.partial(scheduling.run_local,
                              **scheduling.local_places(devices, jobs, jobs_per_device)))
        train_recipes(found, recipes, work_dir, run, retry_failed, fresh)
    report(found, recipes, work_dir)


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
            path = folder / 'result.json'
            result = training.read_result(path) if path.is_file() else {}
            # One that was not evaluated everywhere goes on from its last weights.
            if set(sweep.evaluate) <= set(result):
                results[recipe.name, seed] = result
            elif (folder / 'failure.json').is_file():
                results[recipe.name, seed] = json.loads((folder / 'failure.json').read_text())
    return results


def prepare_folder(folder: Path, mark: dict, retry: bool = False) -> None:
    """Refuse a run of another config or other data; forget a failure that is to be tried again."""
    training.check_folder(folder, mark)
    # What another setup has failed at says nothing about this one.
    if retry or not training.same_setup(folder, mark):
        (folder / 'failure.json').unlink(missing_ok=True)


def train_recipes(sweep: Sweep, recipes: Sequence[Recipe], work_dir: Path, engine: Engine,
                  retry: bool = False, fresh: bool = False,
                  write: Callable[[Sweep, Results, Path], Any] = write_results) -> None:
    """Check everything, then train what is missing; each end is told and the tables written.

    Args:
        sweep (Sweep): Where the recipes are from.
        recipes (Sequence[Recipe]): Those to train.
        work_dir (Path): The sweep's folder.
        engine (Engine): Of :mod:`mmips.runs.scheduling`: where they are trained.
        retry (bool): Train what has failed again. Defaults to False.
        fresh (bool): Forget what is there of these recipes. Defaults to False.
        write (Callable): Writes the tables. Defaults to :func:`write_results`.

    Raises:
        UserError: Of :func:`check_recipes`, for folders that hold other runs, and when it is
            interrupted: the same command goes on.
    """
    # The tables have the others too, so what they hold must be of this sweep.
    others = [recipe for recipe in sweep.recipes if recipe not in recipes]
    configs = {**check_recipes(sweep, others, data=False), **check_recipes(sweep, recipes)}
    for recipe in others:
        _prepare(sweep, recipe, configs, work_dir)
    for recipe in recipes:
        for seed in sweep.seeds if fresh else ():
            shutil.rmtree(folder_of(work_dir, recipe, seed), ignore_errors=True)
        _prepare(sweep, recipe, configs, work_dir, retry)
    progress = _Progress(sweep, recipes, work_dir, write)
    try:
        for wave in sweep.waves(recipes):
            for recipe in wave:
                _prepare(sweep, recipe, configs, work_dir, retry)
            # Closed at once when it is interrupted: nothing trains on.
            with contextlib.closing(engine(progress.tasks(wave))) as ended:
                for task, result in ended:
                    progress.tell(task, result)
    except KeyboardInterrupt:
        raise UserError(f'Interrupted. Finished runs are kept in {work_dir}, the others resume '
                        'with the same command.') from None


def _prepare(sweep: Sweep, recipe: Recipe, configs: Mapping[str, Any], work_dir: Path,
             retry: bool = False) -> None:
    """Prepare a recipe's folders, as far as what it starts from is there."""
    mark: dict = {}
    for seed in sweep.seeds:
        try:
            checkpoint = start_of(sweep, recipe, seed, work_dir)
        except UserError:
            if retry:
                (folder_of(work_dir, recipe, seed) / 'failure.json').unlink(missing_ok=True)
            continue
        if checkpoint or not mark:
            cfg = load_recipe(sweep, recipe, configs[recipe.config], checkpoint)
            mark = fingerprint(cfg, data_files(cfg, checkpoint))
        prepare_folder(folder_of(work_dir, recipe, seed), mark, retry)


class _Progress:
    """What is to be trained, what has ended, and how long the rest will take."""

    def __init__(self, sweep: Sweep, recipes: Sequence[Recipe], work_dir: Path,
                 write: Callable) -> None:
        self.sweep, self.work_dir, self.write = sweep, work_dir, write
        self.results = collect(sweep, work_dir)
        self.start, self.number = time.time(), 0
        self.todo = sum((recipe.name, seed) not in self.results
                        for recipe in recipes for seed in sweep.seeds)
        self.runs: dict[Path, tuple[Recipe, int]] = {}

    def tasks(self, recipes: Sequence[Recipe]) -> list[Task]:
        """The runs that have not ended, of all recipes with the first seed before the next seed."""
        # Seeds outside: an interrupted comparison is still a comparison.
        todo = [(recipe, seed) for seed in self.sweep.seeds for recipe in recipes
                if (recipe.name, seed) not in self.results]
        self.runs.update((folder_of(self.work_dir, *run), run) for run in todo)
        return [Task(recipe.name, folder_of(self.work_dir, recipe, seed), train_recipe,
                     (self.sweep, recipe, seed, self.work_dir)) for recipe, seed in todo]

    def tell(self, task: Task, result: dict) -> None:
        """Print how a run has ended and write the tables."""
        recipe, seed = self.runs[task.folder]
        self.results[recipe.name, seed] = result
        self.number += 1
        self.write(self.sweep, self.results, self.work_dir)
        left = (time.time() - self.start) / self.number * (self.todo - self.number) / 60
        metric = self.sweep.metric_of(recipe)
        text = f'failed: {result["failed"]}' if 'failed' in result else (
            f'{metric} {result[self.sweep.evaluate[0]][metric]:.2f} in {result["seconds"]:.0f} s')
        print(f'[{self.number}/{self.todo}] {recipe.name}, seed {seed}: {text}; about {left:.0f} '
              'min left', flush=True)


def report(sweep: Sweep, recipes: Sequence[Recipe], work_dir: Path) -> Results:
    """Write and print the tables and draw the pictures of all recipes."""
    results = collect(sweep, work_dir)
    print(write_results(sweep, results, work_dir))
    pictures = draw_results(sweep, results, work_dir)
    print(f'In {work_dir}: {", ".join(["results.csv, .json, .md, .tex", *pictures])}')
    check_failures(sweep, recipes, work_dir)
    return results


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


def draw_results(sweep: Sweep, results: Results, work_dir: Path) -> list[str]:
    """Draw the pictures that the sweep asks for; returns the names of those there are."""
    from mmips.visualization.sweep import draw_curves, draw_heatmaps
    pictures: dict[str, Any] = {}
    if sweep.heatmaps:
        pictures['heatmaps.png'] = draw_heatmaps(
            sweep.title, heatmap_frames(sweep, results), sweep.heatmaps.panels, sweep.metric,
            sweep.lower)
    if sweep.curves:
        pictures['curves.png'] = draw_curves(sweep.title, curves_frame(sweep, results),
                                             sweep.metric, sweep.lower)
    found = {name: figure for name, figure in pictures.items() if figure is not None}
    for name, figure in found.items():
        files.write_picture(work_dir / name, figure, dpi=150)
    return list(found)
