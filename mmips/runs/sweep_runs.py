# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What the runs of a sweep have left in their folders, ``RECIPE/seedK``.

A file that is damaged, or of another setup, costs its own run alone.
"""
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from mmips.errors import UserError
from mmips.runs import training
from mmips.runs.fingerprints import fingerprint
from mmips.runs.sweep_checks import data_files, load_recipe, read_configs
from mmips.runs.sweep_recipes import RANDOM, Recipe, Some, Sweep
from mmips.runs.sweep_tables import Results
from mmips.runs.work_dir import checkpoints


class _Result(BaseModel):
    """What ``train_recipe`` returns."""

    model_config = ConfigDict(extra='allow')

    epochs: int
    images: Annotated[list[int], Some]
    scores: Annotated[list[float], Some]
    seconds: float
    resumed: bool
    test: dict[str, float] | None = None
    val: dict[str, float] | None = None
    train: dict[str, float] | None = None
    mmips_version: str = ''

    @model_validator(mode='after')
    def _match(self) -> '_Result':
        if len(self.images) != len(self.scores):
            raise ValueError('images and scores are not of one length')
        return self


class _Failure(BaseModel):
    failed: str


_KINDS: dict[str, Any] = {
    'result.json': _Result, 'failure.json': _Failure, 'scores.json': dict[str, float],
    'fingerprint.json': dict[str, Any]}


def folder_of(work_dir: Path, recipe: Recipe, seed: int) -> Path:
    """Where a recipe is trained with a seed."""
    return work_dir / recipe.folder / f'seed{seed}'


def start_of(sweep: Sweep, recipe: Recipe, seed: int, work_dir: Path) -> Path | None:
    """The checkpoint that a run starts from, None for random weights or what the config says."""
    if recipe.source in ('', RANDOM):
        return None
    start, = [other for other in sweep.recipes if other.name == recipe.source]
    folder = folder_of(work_dir, start, seed)
    try:
        checkpoint = training.last_checkpoint(folder)
    except ValueError:  # Its name is no text.
        checkpoint = None
    if checkpoint is None or not (folder / 'result.json').is_file():
        needs = 'starts from' if recipe.start else 'is taught by'
        raise UserError(f'{recipe.name}, seed {seed}, {needs} {start.name}, which has not '
                        f'ended with this seed in {folder}: train that too.')
    return checkpoint


def collect(sweep: Sweep, work_dir: Path, configs: Mapping[str, Any] | None = None) -> Results:
    """What has become of the runs of a sweep that have ended, in the order of its recipes.

    One whose files are damaged, or of another or an unknown setup, has failed, and is ``left_out``.
    """
    results, later = {}, _evaluated_later(work_dir)
    for recipe, seed, mark in _marks(sweep, sweep.recipes, work_dir, configs):
        folder = folder_of(work_dir, recipe, seed)
        try:
            result = _ended(sweep, recipe, folder, mark)
            for split in set(sweep.evaluate) & set(result):
                result[split] = {**later.get((folder.resolve(), split), {}), **result[split]}
            if mark is None and 'failed' not in result and result:
                start_of(sweep, recipe, seed, work_dir)  # Raises: nothing to compare it with.
        except UserError as error:
            result = dict(failed=str(error), left_out=True)
        if result:
            results[recipe.name, seed] = result
    return results


def _evaluated_later(work_dir: Path) -> dict[tuple[Path, str], dict[str, float]]:
    """What other tools have found of runs' last weights, by their folder and the split.

    They leave it in ``WORK_DIR/*/*.json``, with ``split``, ``checkpoints`` and ``metrics`` by name.
    """
    found: dict[tuple[Path, str], dict[str, float]] = {}
    for file in sorted(work_dir.glob('*/*.json')):
        try:
            content = json.loads(file.read_bytes())
            named = [(Path(path).resolve(), content['metrics'][name])
                     for name, path in content['checkpoints'].items()]
            split = content['split']
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            continue  # Another kind of file.
        for path, metrics in named:
            if [path] != checkpoints(path.parent)[:1] or (
                    path.stat().st_mtime > file.stat().st_mtime):
                print(f'{file} is not of the last weights in {path.parent}: not tabulated.',
                      file=sys.stderr)
            else:
                found.setdefault((path.parent, split), {}).update(metrics)
    return found


def check_folders(sweep: Sweep, recipes: Sequence[Recipe], work_dir: Path,
                  configs: Mapping[str, Any]) -> None:
    """Refuse folders with runs of another setup, as far as what they start from is there."""
    for recipe, seed, mark in _marks(sweep, recipes, work_dir, configs):
        folder = folder_of(work_dir, recipe, seed)
        try:
            _read(folder, 'fingerprint.json')
        except UserError:
            continue  # That run has failed, says collect.
        if mark and not (folder / 'result.json').exists():
            # It would go on with validations by another metric.
            mark = {**mark, 'metric': sweep.metric_of(recipe)}
        if mark:
            training.check_folder(folder, mark)


def _marks(sweep: Sweep, recipes: Sequence[Recipe], work_dir: Path,
           configs: Mapping[str, Any] | None) -> Iterator[tuple[Recipe, int, dict | None]]:
    """Every run with its fingerprint, None where what it starts from is not there."""
    configs = read_configs(recipes) if configs is None else configs
    states: dict = {}
    for recipe in recipes:
        mark: dict | None = None
        for seed in sweep.seeds:
            try:
                checkpoint = start_of(sweep, recipe, seed, work_dir)
            except UserError:
                yield recipe, seed, None
                continue
            if checkpoint or not mark:
                cfg = load_recipe(sweep, recipe, configs[recipe.config], checkpoint)
                mark = fingerprint(cfg, data_files(cfg, checkpoint), states)
            yield recipe, seed, mark


def _ended(sweep: Sweep, recipe: Recipe, folder: Path, mark: dict | None) -> dict:
    """The result or the failure of one run; nothing where it has not ended."""
    result, failure, old = (_read(folder, name) for name in (
        'result.json', 'failure.json', 'fingerprint.json'))
    if result and mark:
        training.check_folder(folder, mark)
    metric = sweep.metric_of(recipe)
    # One that was not evaluated everywhere goes on from its last weights.
    if not result or not set(sweep.evaluate) <= set(result):
        _read(folder, 'scores.json')
        return failure
    for split in sweep.evaluate:
        if metric not in result[split]:
            raise UserError(f'{folder / "result.json"} has no {metric} on {split}, only '
                            f'{", ".join(result[split]) or "nothing"}.')
    if old.get('metric', metric) != metric:
        # Of each validation another metric was kept.
        result['scores'] = [math.nan] * len(result['scores'])
    return result


def _read(folder: Path, name: str) -> dict[str, Any]:
    """One of the files of a run; empty where there is none."""
    path = folder / name
    try:
        found = TypeAdapter(_KINDS[name]).validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        problem = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            problem = ': '.join([*map(str, first['loc']), first['msg']])
        # Without its result a run goes on from its last weights.
        remove = path if name in ('result.json', 'failure.json') else folder
        raise UserError(f'{path} is damaged ({problem}). Remove {remove} and start again.'
                        ) from error
    return (found.model_dump(exclude_unset=True, exclude_none=True)
            if isinstance(found, BaseModel) else found)
