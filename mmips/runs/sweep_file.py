# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A sweep: many recipes of one family, several seeds each, from one YAML file.

The file's format is described in ``configs/sweeps/README.md``.
"""
import difflib
import functools
import itertools
import os.path as osp
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from mmips.config import loading
from mmips.errors import MissingFileError, UserError
from mmips.runs.sweep_recipes import (
    Change,
    Heatmaps,
    Label,
    Node,
    Placed,
    Recipe,
    Settings,
    Sweep,
    Table,
    as_text,
    different,
    table_place,
)

__all__ = ['read_sweep']


class _Axis(Node):
    key: str = ''
    values: dict[Label, Change]

    @model_validator(mode='before')
    @classmethod
    def _name_values(cls, node: Any) -> Any:
        values, key = (node.get(name) if isinstance(node, dict) else None
                       for name in ('values', 'key'))
        if not isinstance(values, (list, dict)) or not values:
            raise ValueError('it needs values: a list or a mapping of at least one')
        if isinstance(values, list):
            if not key:
                raise ValueError('it has a list of values, but no key that takes them')
            values = {as_text(value): value for value in different(values)}
        if key:
            # True == 1 for Python, but not for a config.
            different([repr(value) for value in values.values()])
            return {**node, 'values': {label: {'options': {key: value}}
                                       for label, value in values.items()}}
        return {**node, 'values': {
            label: value if isinstance(value, dict) and set(value) & set(Change.model_fields)
            else {'options': value} for label, value in values.items()}}


class _File(Settings):
    config: str = ''
    options: dict[str, Any] = {}
    axes: dict[Label, _Axis] = {}
    recipes: dict[Label, Placed] = {}
    paper: dict = {}


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep's YAML file."""
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f'There is no file {path}: a sweep is described by a YAML file, '
                               'see configs/sweeps/README.md for the format.')
    try:
        return _build(_File.model_validate(_load(path)), path)
    except ValidationError as error:
        raise UserError(f'{path}: {_explain(error)}') from error
    except ValueError as error:
        raise UserError(f'{path}: {error}') from error


def _explain(error: ValidationError) -> str:
    """The first thing that is wrong, in one sentence."""
    found = error.errors()[0]
    places = [str(place) for place in found['loc']]
    if found['type'] != 'extra_forbidden':
        return (f'{", ".join(places) or "the file"}: '
                f'{found["msg"].removeprefix("Value error, ")}, got {found["input"]!r}.')
    key = places.pop()
    known = {name for kind in (_File, Placed, _Axis, Table, Heatmaps) for name in kind.model_fields}
    alike = ['recipes'] if key == 'cells' else difflib.get_close_matches(key, known, 1)
    return (f'{", ".join(places) or "the file"} has no key {key!r}'
            f'{f". Did you mean {alike[0]}?" if alike else "."}')


def _load(path: Path) -> Any:
    """The content of a YAML file; keys twice are refused, and 1e-3 is a number."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Made here, so that PyYAML's own loader stays as it is."""

    def mapping(loader: Any, node: Any) -> dict:
        keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f'line {node.start_mark.line + 1}: {", ".join(sorted(twice))} twice.')
        return dict(zip(keys, (loader.construct_object(value, deep=True)
                               for _, value in node.value)))

    Loader.add_constructor('tag:yaml.org,2002:map', mapping)
    Loader.add_implicit_resolver('tag:yaml.org,2002:float',
                                 re.compile(r'[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$'),
                                 list('-+0123456789'))
    try:
        with open(path, encoding='utf-8') as file:
            return yaml.load(file, Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise ValueError(f'no YAML: {error}') from error


def _build(file: _File, path: Path) -> Sweep:
    recipes = list(_recipes(file))
    if not recipes:
        raise ValueError('no recipes: write axes or recipes.')
    axes = {name: list(axis.values) for name, axis in file.axes.items()}
    for recipe in recipes:
        for axis, label in recipe.axes.items():
            if label not in axes.setdefault(axis, []):
                axes[axis].append(label)
    table = file.table
    if table.model_fields_set - {'seeds'} and not table.rows:
        table = table.model_copy(update=dict(
            rows=tuple(axis for axis in axes if axis not in table.columns)))
    recipes = _with_paper(_with_folders(recipes), file.paper, table.rows + table.columns)
    sweep = Sweep(recipes=tuple(recipe.but(config=_find_config(recipe, path))
                                for recipe in recipes), axes=axes,
                  **{key: getattr(file, key) for key in Settings.model_fields})
    sweep = sweep.but(title=file.title or path.stem, table=table)
    sweep.waves(recipes)
    _check_places(sweep)
    return sweep


def _recipes(file: _File) -> Iterator[Recipe]:
    """The product of the axes, then the single recipes."""
    whole = Change(config=file.config, options=file.options)
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
            yield Recipe(name=name, axes=places, **dict(change))
    for name, node in file.recipes.items():
        yield Recipe(name=name, **dict(whole.then(node)))


def _with_folders(recipes: Iterable[Recipe]) -> list[Recipe]:
    """Give every recipe a folder of its own; none that differ by case alone."""
    done: dict[str, Recipe] = {}
    names: set[str] = set()
    for recipe in recipes:
        if recipe.name in names:
            raise ValueError(f'two recipes are called {recipe.name!r}.')
        names.add(recipe.name)
        # No comma: --cfg-options would take it for a list.
        base = re.sub(r'[^\w.=+-]+', '_', recipe.name, flags=re.ASCII).strip('._') or 'recipe'
        folder = next(name for name in itertools.chain(
            [base], (f'{base}-{number}' for number in itertools.count(2)))
            if name.lower() not in done)
        done[folder.lower()] = recipe.but(folder=folder)
    return list(done.values())


def _with_paper(recipes: Sequence[Recipe], node: Mapping, axes: Sequence[str]) -> list[Recipe]:
    values = dict(_leaves(node, ()))
    result = []
    for recipe in recipes:
        keys = [(recipe.name, ), tuple(recipe.axes.get(axis) for axis in axes)]
        found = [values.pop(key) for key in dict.fromkeys(keys) if key in values]
        result.append(recipe.but(paper=found[0]) if found else recipe)
    if values:
        names = ', '.join(' / '.join(map(str, key)) for key in values)
        raise ValueError(f'paper: no recipe is called {names}: give the name of a recipe, or its '
                         f'values on the axes of the table, here {" / ".join(axes) or "none"}.')
    return result


def _leaves(node: Mapping, path: tuple) -> Iterable[tuple[tuple, float]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, as_text(key)))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield (*path, as_text(key)), float(value)
        elif value is not None:
            raise ValueError(f'paper: {key} must be a number, got {value!r}.')


def _find_config(recipe: Recipe, path: Path) -> str:
    if not recipe.config:
        raise ValueError(f'recipe {recipe.name} has no config: write one for it, or for all.')
    beside = path.parent / recipe.config
    if beside.is_file():
        return str(beside.resolve())
    try:
        return osp.abspath(loading.find_config(recipe.config))
    except FileNotFoundError as error:
        raise ValueError(f'recipe {recipe.name}: {error}') from error


def _check_places(sweep: Sweep) -> None:
    """Raise for axes that are none, and where recipes share a place of the table or heat maps."""
    table, maps = sweep.table, sweep.heatmaps
    used = {'table': (*table.rows, *table.columns)}
    places = {'table': {recipe.name: sum(table_place(sweep, recipe), ())
                        for recipe in sweep.recipes}}
    if maps:
        used['heatmaps'] = axes = (maps.x, maps.y, *maps.panels)
        places['heatmaps'] = {recipe.name: tuple(recipe.axes[axis] for axis in axes)
                              for recipe in sweep.recipes if set(axes) <= set(recipe.axes)}
    if table.columns and table.seeds:
        raise ValueError('table: seeds have a column where there are no other columns.')
    for where, axes in used.items():
        unknown = [axis for axis in axes if axis not in sweep.axes]
        if unknown:
            raise ValueError(f'{where}: {", ".join(unknown)} is no axis; there are '
                             f'{", ".join(sweep.axes) or "none"}.')
        if len(set(axes)) < len(axes):
            raise ValueError(f'{where} takes an axis once, got {", ".join(axes)}.')
        names: dict[tuple, str] = {}
        for name, place in places[where].items():
            if names.setdefault(place, name) != name:
                raise ValueError(f'{where}: the recipes {names[place]!r} and {name!r} have the '
                                 f'same place ({", ".join(place)}): name another axis in it, or '
                                 'give one of them other axes.')
