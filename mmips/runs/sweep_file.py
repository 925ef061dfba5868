# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A sweep: many configurations of one family, several seeds each, from one YAML file.

::

    title: "Figure 10: alpha, gamma and p_r"   # for tables and pictures
    config: ips/resnet18_ips_cifar100.py       # of all cells: relative to this file, or of mmips
    options: {train_cfg.max_epochs: 240}       # dotted options of all cells
    seeds: [0, 1, 2]                           # default
    metric: accuracy/top1                      # default; what is tabulated
    lower: false                               # default; true where less is better
    evaluate: [test, train]                    # default [test]: where the last weights are
                                               # evaluated; train: in the test pipeline
    axes:                                      # the product of all axes
      alpha: {key: model.alpha, values: [0.5, 1, 2]}
      p_r:   {key: model.train_cfg.augments.0.prob, values: [0, 0.5, 1]}
      grid:                                    # named values: options, or another config
        values:
          2x2: {model.train_cfg.augments.0.grid_size: 2}
          prog: {config: ips/resnet18_ips-prog_cifar100.py, options: {model.gamma: 2}}
    cells:                                     # and single cells
      hard label: {config: ips/resnet18_hard_cifar100.py}
      CutMix: {config: ips/resnet50_cutmix_cifar100.py, options: {}, axes: {mix: CutMix}}
    paper: {hard label: 77.92}                 # the paper's value of a cell, by its name or by
                                               # its rows and columns, nested: {CutMix: {0.5: 80}}
    table: {rows: grid, columns: [alpha, p_r], best: table}   # default: one row a cell; best:
                                               # bold of the whole table, each row or column;
                                               # without columns, seeds: true shows each seed
    heatmaps: {x: alpha, y: p_r, panels: grid}
    curves: true                               # the metric over images seen

Only ``config`` (or one in every cell) and ``axes`` or ``cells`` are needed. An option must exist
in the config or be an argument of what it builds. A cell's options come last, after those of
its axes and of all cells. A cell of a product is called ``alpha=0.5, p_r=0, grid=2x2``.
"""
import difflib
import itertools
import os.path as osp
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmips.config import loading

__all__ = ['Cell', 'Sweep', 'choose_cells', 'read_sweep', 'table_place']

_KEYS = ('title', 'config', 'options', 'seeds', 'metric', 'lower', 'evaluate', 'axes', 'cells',
         'paper', 'table', 'heatmaps', 'curves')
_SPLITS = ('test', 'val', 'train')


@dataclass(frozen=True)
class Cell:
    """One configuration of a sweep."""

    name: str
    #: Its folder below the sweep's; a safe name for every file system.
    folder: str
    #: Path of its config.
    config: str
    #: What differs from the config, by dotted key.
    options: dict[str, Any]
    #: Where it stands on the axes, by the names of its values.
    axes: dict[str, str]
    #: The paper's value.
    paper: float | None = None


@dataclass(frozen=True)
class Sweep:
    """What a YAML file describes; the module's docstring has its format."""

    title: str
    cells: tuple[Cell, ...]
    #: Names of the values of each axis, in order.
    axes: dict[str, list[str]]
    seeds: tuple[int, ...] = (0, 1, 2)
    metric: str = 'accuracy/top1'
    lower: bool = False
    evaluate: tuple[str, ...] = ('test', )
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    #: Where the best is marked: of the 'table', each 'row' or each 'column'.
    best: str = 'table'
    #: Whether a table without columns has the images seen and each seed's value.
    show_seeds: bool = False
    #: ``x``, ``y`` and, as a tuple, ``panels``; empty for no heat maps.
    heatmaps: dict[str, Any] = field(default_factory=dict)
    curves: bool = False


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep's YAML file.

    Args:
        path (str): The file.

    Raises:
        FileNotFoundError: If it is not there, or a config that it names.
        ValueError: It says what is wrong and where.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'There is no file {path}: a sweep is described by a YAML file, '
                                'see mmips/runs/sweep_file.py for the format.')
    try:
        return _parse(_load(path), path)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


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


def _parse(node: Any, path: Path) -> Sweep:
    node = _mapping(node, 'the file', _KEYS)
    axes = {_label(name, 'an axis'): _read_axis(name, values)
            for name, values in _mapping(node.get('axes'), 'axes').items()}
    default = _Change(node.get('config'), _options(node.get('options'), 'options'))
    cells = [*_product(axes, default), *_named_cells(node.get('cells'), default)]
    if not cells:
        raise ValueError('no cells: write axes or cells.')
    known = {name: list(values) for name, values in axes.items()}
    for cell in cells:
        for axis, label in cell.axes.items():
            if label not in known.setdefault(axis, []):
                known[axis].append(label)
    table = _mapping(node.get('table'), 'table', ('rows', 'columns', 'best', 'seeds'))
    rows, columns, best = _layout(table, known)
    cells = _with_paper(_with_folders(cells), node.get('paper'), rows + columns)
    cells = [replace(cell, config=_find_config(cell, path)) for cell in cells]
    sweep = Sweep(
        title=str(node.get('title') or path.stem), cells=tuple(cells), axes=known,
        seeds=_seeds(node.get('seeds', [0, 1, 2])), metric=_metric(node),
        lower=_flag(node, 'lower'), evaluate=_evaluate(node.get('evaluate', ['test'])),
        rows=rows, columns=columns, best=best, show_seeds=_flag(table, 'seeds', 'table, '),
        heatmaps=_heatmaps(node.get('heatmaps'), known), curves=_flag(node, 'curves'))
    _check_places(sweep)
    return sweep


@dataclass(frozen=True)
class _Change:
    """What makes a cell: a config, if it names one, and options."""

    config: str | None
    options: dict[str, Any]

    def then(self, other: '_Change') -> '_Change':
        return _Change(other.config or self.config, {**self.options, **other.options})


def _read_axis(name: str, node: Any) -> dict[str, _Change]:
    """The values of an axis by their names."""
    what = f'axis {name}'
    node = _mapping(node, what, ('key', 'values'))
    values, key = node.get('values'), node.get('key')
    if not isinstance(values, (list, dict)) or not values:
        raise ValueError(f'{what} needs values: a list or a mapping of at least one, got '
                         f'{values!r}.')
    if isinstance(values, list) and key is None:
        raise ValueError(f'{what} has a list of values, but no key that takes them.')
    pairs = values.items() if isinstance(values, dict) else [(value, value) for value in values]
    changes: dict[str, _Change] = {}
    seen: list[Any] = []
    for text, value in pairs:
        label = _label(text, what) if isinstance(values, dict) else _text(text)
        change = _Change(None, {key: value}) if key else _change(value, f'{what}, {label}')
        # True == 1 for Python, but not for a config.
        if label in changes or key and (type(value), value) in seen:
            raise ValueError(f'{what} has the value {label} twice.')
        changes[label] = change
        seen.append((type(value), value))
    return changes


def _change(node: Any, what: str) -> _Change:
    if isinstance(node, dict) and {'config', 'options'} & set(node):
        node = _mapping(node, what, ('config', 'options'))
        return _Change(node.get('config'), _options(node.get('options'), what))
    return _Change(None, _options(node, what))


def _product(axes: Mapping[str, Mapping[str, _Change]], default: _Change) -> list[Cell]:
    cells = []
    for labels in itertools.product(*axes.values()) if axes else ():
        change, configs = default, []
        for (axis, values), label in zip(axes.items(), labels):
            change = change.then(values[label])
            configs += [axis] if values[label].config else []
        if len(configs) > 1:
            raise ValueError(f'the axes {" and ".join(configs)} both give a config: write their '
                             'combinations as cells, or one of them as options.')
        name = ', '.join(f'{axis}={label}' for axis, label in zip(axes, labels))
        cells.append(Cell(name, '', change.config or '', change.options, dict(zip(axes, labels))))
    return cells


def _named_cells(node: Any, default: _Change) -> list[Cell]:
    cells = []
    for name, content in _mapping(node, 'cells').items():
        what = f'cell {name}'
        content = _mapping(content, what, ('config', 'options', 'axes'))
        change = default.then(_Change(content.get('config'),
                                      _options(content.get('options'), what)))
        places = {_label(axis, 'an axis'): _text(value)
                  for axis, value in _mapping(content.get('axes'), f'{what}, axes').items()}
        cells.append(Cell(_label(name, 'a cell'), '', change.config or '', change.options, places))
    return cells


def _with_folders(cells: Iterable[Cell]) -> list[Cell]:
    """Give every cell a folder of its own; none that differ by case alone."""
    done: dict[str, Cell] = {}
    names: set[str] = set()
    for cell in cells:
        if cell.name in names:
            raise ValueError(f'two cells are called {cell.name!r}.')
        names.add(cell.name)
        # No comma: --cfg-options would take it for a list.
        folder = base = re.sub(r'[^\w.=+-]+', '_', cell.name, flags=re.ASCII).strip('._') or 'cell'
        for number in itertools.count(2):
            if folder.lower() not in done:
                break
            folder = f'{base}-{number}'
        done[folder.lower()] = replace(cell, folder=folder)
    return list(done.values())


def _with_paper(cells: Sequence[Cell], node: Any, axes: Sequence[str]) -> list[Cell]:
    values = dict(_leaves(_mapping(node, 'paper'), ()))
    result = []
    for cell in cells:
        keys = [(cell.name, ), tuple(cell.axes.get(axis) for axis in axes)]
        found = [values.pop(key) for key in dict.fromkeys(keys) if key in values]
        result.append(replace(cell, paper=found[0]) if found else cell)
    if values:
        names = ', '.join(' / '.join(map(str, key)) for key in values)
        raise ValueError(f'paper: no cell is called {names}: give the name of a cell, or its '
                         f'values on the axes of the table, here {" / ".join(axes) or "none"}.')
    return result


def _leaves(node: Mapping, path: tuple) -> Iterable[tuple[tuple, float]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, _text(key)))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield (*path, _text(key)), float(value)
        elif value is not None:
            raise ValueError(f'paper: {key} must be a number, got {value!r}.')


def _find_config(cell: Cell, path: Path) -> str:
    if not cell.config or not isinstance(cell.config, str):
        raise ValueError(f'cell {cell.name} has no config: write one for it, or for all.')
    beside = path.parent / cell.config
    if beside.is_file():
        return str(beside.resolve())
    try:
        return osp.abspath(loading.find_config(cell.config))
    except FileNotFoundError as error:
        raise ValueError(f'cell {cell.name}: {error}') from error


def _layout(node: Mapping, axes: Mapping[str, Any]
            ) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """The axes of the table's rows (default: those of no column) and columns; of what is best."""
    if set(node) <= {'seeds'}:
        return (), (), 'table'
    best = node.get('best', 'table')
    if best not in ('table', 'row', 'column'):
        raise ValueError(f'table, best must be table, row or column, got {best!r}.')
    columns = _axis_names(node.get('columns'), 'table, columns', axes)
    rows = (_axis_names(node.get('rows'), 'table, rows', axes)
            or tuple(axis for axis in axes if axis not in columns))
    if set(rows) & set(columns):
        raise ValueError(f'table: {sorted(set(rows) & set(columns))} are rows and columns.')
    if columns and node.get('seeds'):
        raise ValueError('table: seeds have a column where there are no other columns.')
    return rows, columns, best


def _heatmaps(node: Any, axes: Mapping[str, Any]) -> dict[str, Any]:
    if node is None:
        return {}
    node = _mapping(node, 'heatmaps', ('x', 'y', 'panels'))
    chosen = {key: _axis_names(node.get(key), f'heatmaps, {key}', axes)
              for key in ('x', 'y', 'panels')}
    if len(chosen['x']) != 1 or len(chosen['y']) != 1:
        raise ValueError('heatmaps needs one axis for x and one for y.')
    used = [axis for names in chosen.values() for axis in names]
    if len(set(used)) < len(used):
        raise ValueError(f'heatmaps takes an axis once, got {used}.')
    return dict(x=chosen['x'][0], y=chosen['y'][0], panels=chosen['panels'])


def _axis_names(node: Any, what: str, axes: Mapping[str, Any]) -> tuple[str, ...]:
    names = tuple(node) if isinstance(node, list) else () if node is None else (node, )
    unknown = [name for name in names if name not in axes]
    if unknown:
        raise ValueError(f'{what}: {", ".join(map(str, unknown))} is no axis; there are '
                         f'{", ".join(axes) or "none"}.')
    return names


def table_place(sweep: Sweep, cell: Cell) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of a cell's row and column; one without the rows' axes has a row of its own."""
    row, column = (tuple(cell.axes.get(axis, '') for axis in axes)
                   for axes in (sweep.rows, sweep.columns))
    return (row if row and all(row) else (cell.name, *[''] * (len(sweep.rows) - 1)),
            column if all(column) else ())


def _check_places(sweep: Sweep) -> None:
    """Raise where two cells share a place of the table or of a heat map."""
    found = {'table': {cell.name: table_place(sweep, cell) for cell in sweep.cells}}
    if sweep.heatmaps:
        axes = [sweep.heatmaps['x'], sweep.heatmaps['y'], *sweep.heatmaps['panels']]
        found['heatmaps'] = {cell.name: (tuple(cell.axes[axis] for axis in axes), ())
                             for cell in sweep.cells if set(axes) <= set(cell.axes)}
    for what, places in found.items():
        names: dict[tuple, str] = {}
        for name, place in places.items():
            if place in names:
                raise ValueError(f'{what}: the cells {names[place]!r} and {name!r} have the same '
                                 f'place ({", ".join(place[0] + place[1])}): name another axis in '
                                 'it, or give one of them other axes.')
            names[place] = name


def _mapping(node: Any, what: str, known: Sequence[str] | None = None) -> dict:
    node = {} if node is None else node
    if not isinstance(node, dict):
        raise ValueError(f'{what} must be a mapping, got {node!r}.')
    unknown = [key for key in node if known is not None and key not in known]
    if unknown and known is not None:
        alike = difflib.get_close_matches(str(unknown[0]), known, 1)
        raise ValueError(f'{what} has no key {unknown[0]!r}; there are {", ".join(known)}'
                         f'{f". Did you mean {alike[0]}?" if alike else "."}')
    return node


def _options(node: Any, what: str) -> dict[str, Any]:
    options = _mapping(node, what)
    for key in options:
        if not isinstance(key, str):
            raise ValueError(f'{what}: an option is a dotted key such as model.alpha, got {key!r}.')
    return options


def _label(value: Any, what: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == '':
        raise ValueError(f'{what} is called {value!r}, which is no text: write it in quotes.')
    return str(value)


def _text(value: Any) -> str:
    """How a value is written in tables and names."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value)


def _seeds(node: Any) -> tuple[int, ...]:
    if (not isinstance(node, list) or not node or len(set(map(str, node))) < len(node)
            or any(not isinstance(seed, int) or isinstance(seed, bool) or seed < 0
                   for seed in node)):
        raise ValueError(f'seeds must be a list of different whole numbers from 0, got {node!r}.')
    return tuple(node)


def _metric(node: Mapping) -> str:
    metric = node.get('metric', 'accuracy/top1')
    if not isinstance(metric, str) or not metric:
        raise ValueError(f'metric must be a name such as accuracy/top1, got {metric!r}.')
    return metric


def _evaluate(node: Any) -> tuple[str, ...]:
    node = [node] if isinstance(node, str) else node
    if (not isinstance(node, list) or not node or len(set(map(str, node))) < len(node)
            or any(split not in _SPLITS for split in node)):
        raise ValueError(f'evaluate must be a list of {", ".join(_SPLITS)}, got {node!r}.')
    return tuple(node)


def _flag(node: Mapping, key: str, where: str = '') -> bool:
    value = node.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f'{where}{key} must be true or false, got {value!r}.')
    return value


def choose_cells(sweep: Sweep, only: Sequence[str]) -> list[Cell]:
    """The cells of a command line's ``--only``.

    Args:
        sweep (Sweep): All of them.
        only (Sequence[str]): Names of cells (or of their folders), and ``axis=value``: of the
            values given for one axis one must fit, and so for every axis.

    Raises:
        ValueError: For what names no cell.
    """
    named: set[str] = set()
    places: dict[str, set[str]] = {}
    for text in only:
        cells = {cell.name for cell in sweep.cells if text in (cell.name, cell.folder)}
        axis, _, value = text.partition('=')
        if cells:
            named |= cells
        elif value in sweep.axes.get(axis, ()):
            places.setdefault(axis, set()).add(value)
        else:
            axes = '; '.join(f'{name}={" ".join(values)}' for name, values in sweep.axes.items())
            raise ValueError(f'--only: no cell is called {text!r}. There are the cells '
                             f'{"; ".join(cell.name for cell in sweep.cells)} and the axes '
                             f'{axes or "none"}.')
    chosen = [cell for cell in sweep.cells if not only or cell.name in named or (
        places and all(cell.axes.get(axis) in values for axis, values in places.items()))]
    if not chosen:
        raise ValueError(f'--only: no cell has {" and ".join(only)}.')
    return chosen
