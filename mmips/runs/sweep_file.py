# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A sweep: many recipes of one family, several seeds each, from one YAML file.

The file's format is described in ``configs/sweeps/README.md``.
"""
import functools
import itertools
import os.path as osp
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ValidationError, model_validator

from mmips.config import loading
from mmips.errors import UserError
from mmips.names import file_name
from mmips.runs.sweep_recipes import (
    METRIC,
    RECIPE,
    Change,
    Label,
    Node,
    Recipe,
    Settings,
    Some,
    Sweep,
    Table,
    as_text,
    different,
    table_place,
)


class _Axis(Node):
    key: str = ''
    values: Annotated[dict[Label, Change], Some]

    @model_validator(mode='before')
    @classmethod
    def _name_values(cls, node: Any) -> Any:
        values, key = (node.get(name) if isinstance(node, dict) else None
                       for name in ('values', 'key'))
        if key and isinstance(values, list):
            values = {as_text(value): value for value in different(values)}
        if not isinstance(values, dict):
            return node
        if key:
            # True == 1 for Python, but not for a config.
            different(list(map(repr, values.values())))
            values = {label: {'options': {key: value}} for label, value in values.items()}
        return {**node, 'values': {
            label: value if isinstance(value, dict) and set(value) & set(Change.model_fields)
            else {'options': value} for label, value in values.items()}}


class _File(Settings):
    config: str = ''
    options: dict[str, Any] = {}
    axes: dict[Label, _Axis] = {}
    recipes: dict[Label, Change] = {}
    paper: dict = {}


def read_sweep(path: Path) -> Sweep:
    """Read a sweep's YAML file."""
    try:
        content = yaml.load(path.read_text(encoding='utf-8'), _Loader)  # noqa: S506
        return _build(_File.model_validate(content), path)
    except ValidationError as error:
        found = error.errors()[0]
        place = ', '.join(map(str, found['loc'])) or 'the file'
        problem = {'extra_forbidden': 'there is no such key'}.get(
            found['type'], found['msg'].removeprefix('Value error, '))
        raise UserError(f'{path}: {place}: {problem}, got {found["input"]!r}; '
                        'configs/sweeps/README.md tells the format.') from error
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise UserError(f'{path}: {error}') from error


class _Loader(yaml.SafeLoader):
    """Refuses keys that stand twice, and reads 1e-3 as a number."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value
                if not key.tag.endswith(':merge')]
        if twice := {str(key) for key in keys if keys.count(key) > 1}:
            raise ValueError(f'line {node.start_mark.line + 1}: {", ".join(sorted(twice))} twice.')
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver('tag:yaml.org,2002:float',
                              re.compile(r'[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$'),
                              list('-+0123456789'))


def _build(file: _File, path: Path) -> Sweep:
    keys = [axis.key for axis in file.axes.values() if axis.key]
    if len(set(keys)) < len(keys):
        raise ValueError(f'the axes set {", ".join(keys)}: of one key twice, the last would win.')
    recipes = list(_recipes(file))
    recipes = [recipe.but(folder=folder, config=_find_config(recipe, path))
               for recipe, folder in zip(recipes, _folders([each.name for each in recipes]))]
    axes = {name: list(axis.values) for name, axis in file.axes.items()}
    for axis, label in (place for recipe in recipes for place in recipe.axes.items()):
        if label not in axes.setdefault(axis, []):
            axes[axis].append(label)
    if own := {RECIPE, METRIC} & set(axes):
        raise ValueError(f'axes: {own.pop()} is one that tables have by themselves.')
    settings = {key: getattr(file, key) for key in Settings.model_fields}
    sweep = Sweep(**{**settings, 'title': file.title or path.stem}, axes=axes,
                  recipes=tuple(recipes))
    sweep = sweep.but(table=_full_table(sweep))
    sweep = sweep.but(recipes=tuple(_with_paper(sweep, file.paper)))
    sweep.waves(recipes)
    _check_places(sweep)
    return sweep


def _full_table(sweep: Sweep) -> Table:
    """The table with the rows and columns that the file leaves out."""
    table = sweep.table
    if sweep.more and METRIC not in table.rows + table.columns:
        table = table.but(columns=(*table.columns, METRIC))
    if sweep.table.model_fields_set & {'columns', 'best'} and not table.rows:
        table = table.but(rows=tuple(axis for axis in sweep.axes if axis not in table.columns))
    return table if table.rows or not sweep.more else table.but(rows=(RECIPE, ))


def _recipes(file: _File) -> Iterator[Recipe]:
    """The product of the axes, then the single recipes; one of a product's name changes that."""
    whole, single = Change(config=file.config, options=file.options), dict(file.recipes)
    for labels in itertools.product(*(axis.values for axis in file.axes.values())):
        places = dict(zip(file.axes, labels))
        parts = {axis: file.axes[axis].values[label] for axis, label in places.items()}
        configs = [axis for axis, part in parts.items() if part.config]
        if len(configs) > 1:
            raise ValueError(f'the axes {" and ".join(configs)} both give a config: write their '
                             'combinations as recipes, or one of them as options.')
        if places:
            name = ', '.join(f'{axis}={label}' for axis, label in places.items())
            change = functools.reduce(Change.then, parts.values(), whole)
            change = change.then(Change(axes=places))
            yield Recipe(name=name, **dict(change.then(single.pop(name, Change()))))
    for name, node in single.items():
        yield Recipe(name=name, **dict(whole.then(node)))


def _folders(names: Sequence[str]) -> list[str]:
    """A folder for every recipe; none that differ by case alone."""
    folders: dict[str, str] = {}
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'two recipes are called {name!r}.')
        base = file_name(name, 'recipe')
        ends = itertools.chain([''], (f'-{number}' for number in itertools.count(2)))
        folder = next(base + end for end in ends if (base + end).lower() not in folders)
        folders[folder.lower()] = folder
    return list(folders.values())


def _with_paper(sweep: Sweep, node: Mapping) -> list[Recipe]:
    axes = [axis for axis in sweep.table.rows + sweep.table.columns
            if axis not in (RECIPE, METRIC)]
    values, result = dict(_leaves(node, ())), []
    for recipe in sweep.recipes:
        own, paper = sweep.metric_of(recipe), dict[str, tuple[float, ...]]()
        for key in {(recipe.name, ), tuple(map(recipe.axes.get, axes))}:
            places = {key: own, (*key, own): own, **{(*key, other): other for other in sweep.more}}
            paper |= {places[place]: values.pop(place) for place in set(places) & set(values)}
        result.append(recipe.but(paper=paper))
    if values:
        names = ', '.join(' / '.join(map(str, key)) for key in values)
        raise ValueError(f'paper: no recipe is called {names}: give the name of a recipe, or its '
                         f'values on the axes of the table, here {" / ".join(axes) or "none"}; '
                         f'then one of the metrics {", ".join((sweep.metric, *sweep.more))}.')
    return result


def _leaves(node: Mapping, path: tuple) -> Iterable[tuple[tuple, tuple[float, ...]]]:
    for key, value in node.items():
        numbers = value if isinstance(value, list) else [value]
        if isinstance(value, dict):
            yield from _leaves(value, (*path, as_text(key)))
        elif all(isinstance(number, (int, float)) for number in numbers) and (
                1 <= len(numbers) <= 2):
            yield (*path, as_text(key)), tuple(map(float, numbers))
        elif value is not None:
            raise ValueError(f'paper: {key} must be a number, or [number, spread], got {value!r}.')


def _find_config(recipe: Recipe, path: Path) -> str:
    if not recipe.config:
        raise ValueError(f'recipe {recipe.name} has no config: write one for it, or for all.')
    beside = path.parent / recipe.config
    return str(beside.resolve()) if beside.is_file() else osp.abspath(
        loading.find_config(recipe.config))


def _check_places(sweep: Sweep) -> None:
    """Raise for axes that are none, and where recipes share a place of the table or heat maps."""
    table, maps, whole = sweep.table, sweep.heatmaps, sweep.by_metric()
    if table.columns and table.seeds:
        raise ValueError('table: seeds have a column where there are no other columns.')
    used = {'table': (*table.rows, *table.columns)}
    if maps:
        used['heatmaps'] = (maps.x, maps.y, *maps.panels)
    if table.paired and not any(table.paired in values for values in whole.axes.values()):
        raise ValueError(f'table: paired names a recipe or a value of an axis, not {table.paired}.')
    for where, axes in used.items():
        known = whole.axes if where == 'table' else sweep.axes
        if len(set(axes) & set(known)) < len(axes):
            raise ValueError(f'{where} takes each of the axes {", ".join(known) or "(none)"} '
                             f'once, got {", ".join(axes)}.')
        names: dict[tuple, str] = {}
        for recipe in (whole if where == 'table' else sweep).recipes:
            # What is not on all axes of the maps is in none of them.
            place = sum(table_place(sweep, recipe), ()) if where == 'table' else tuple(
                recipe.axes.get(axis, recipe.name) for axis in axes)
            name = recipe.axes.get(RECIPE, recipe.name)
            if names.setdefault(place, name) != name:
                raise ValueError(f'{where}: the recipes {names[place]!r} and {name!r} have '
                                 f'the same place ({", ".join(place)}): name another axis in it, '
                                 'or give one of them other axes.')
