# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Tables of a sweep: mean and spread over seeds, in Markdown and LaTeX."""
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence

from mmips.runs.sweep_file import Cell, Sweep, table_place
from mmips.runs.tables import Table

__all__ = ['make_tables']

_NOTHING = '–'


def make_tables(sweep: Sweep, results: Mapping[tuple[str, int], dict]) -> list[Table]:
    """Lay out the metric as the sweep says.

    Without columns there is one table with a row a place and, in columns, the metric on every
    evaluated split, train minus test, and the paper's value, after the images seen and each
    seed's value where ``show_seeds`` asks for them; with columns a table for each of
    the splits and one for the difference. The best mean on the first of the splits is marked.

    Args:
        sweep (Sweep): Its ``rows``, ``columns``, ``metric`` and the rest.
        results (dict): Of each run that has ended, by the name of its cell and its seed.

    Returns:
        list[Table]: At least one.
    """
    scores = {what: {cell.name: _scores(sweep, results, cell.name, what) for cell in sweep.cells}
              for what in _quantities(sweep)}
    numbers = {len(by_cell) for by_cell in scores[sweep.evaluate[0]].values() if by_cell}
    digits = _digits(values for split in sweep.evaluate for values in scores[split].values())
    texts = {what: {name: _mean_std(values, digits, len(numbers) > 1)
                    for name, values in by_cell.items()} for what, by_cell in scores.items()}
    means = {name: statistics.mean(values)
             for name, values in scores[sweep.evaluate[0]].items() if values}
    if not sweep.columns:
        seeds = {cell.name: _each_seed(sweep, results, cell, digits) for cell in sweep.cells
                 if sweep.show_seeds}
        return [_one_table(sweep, texts, means, seeds)]
    return [_grid(sweep, what, by_cell, means if what == sweep.evaluate[0] else {})
            for what, by_cell in texts.items()]


def _quantities(sweep: Sweep) -> dict[str, str]:
    """What is tabulated, and its heading."""
    arrow = '↓' if sweep.lower else '↑'
    names = {split: f'{split} {sweep.metric} {arrow}' for split in sweep.evaluate}
    if {'test', 'train'} <= set(sweep.evaluate):
        names['gap'] = 'gap (train − test)'
    return names


def _scores(sweep: Sweep, results: Mapping[tuple[str, int], dict], name: str,
            what: str) -> list[float]:
    done = _finished(sweep, results, name).values()
    if what == 'gap':
        return [result['train'][sweep.metric] - result['test'][sweep.metric] for result in done]
    return [result[what][sweep.metric] for result in done]


def _finished(sweep: Sweep, results: Mapping[tuple[str, int], dict], name: str) -> dict[int, dict]:
    """The runs of a cell that have not failed, by seed."""
    return {seed: results[name, seed] for seed in sweep.seeds
            if 'failed' not in results.get((name, seed), {'failed': ''})}


def _each_seed(sweep: Sweep, results: Mapping[tuple[str, int], dict], cell: Cell,
               digits: int) -> list[str]:
    """The images seen and every seed's value."""
    done = _finished(sweep, results, cell.name)
    images = {f'{result["images"][-1]:,}': None for result in done.values()}
    values = [f'{seed}: {result[sweep.evaluate[0]][sweep.metric]:.{digits}f}'
              for seed, result in done.items()]
    return [', '.join(images), ', '.join(values)]


def _digits(groups: Iterable[Sequence[float]]) -> int:
    # Percent in hundredths, shares of one in ten thousandths.
    return 2 if any(abs(value) > 1.5 for group in groups for value in group) else 4


def _mean_std(values: Sequence[float], digits: int, numbered: bool) -> str:
    if not values:
        return _NOTHING
    spread = f' ± {statistics.stdev(values):.{digits}f}' if len(values) > 1 else ''
    number = f' (n={len(values)})' if numbered else ''
    return f'{statistics.mean(values):.{digits}f}{spread}{number}'


def _places(sweep: Sweep) -> tuple[dict[tuple, dict[tuple, Cell]], list[tuple]]:
    """The cells by row and column, and all columns."""
    rows: dict[tuple, dict[tuple, Cell]] = {}
    columns: list[tuple] = []
    for cell in sweep.cells:
        row, column = table_place(sweep, cell)
        rows.setdefault(row, {})[column] = cell
        if column not in columns:
            columns.append(column)
    order = sorted(rows, key=lambda labels: _rank(sweep, sweep.rows, labels))
    columns.sort(key=lambda labels: _rank(sweep, sweep.columns, labels))
    return {row: rows[row] for row in order}, columns


def _rank(sweep: Sweep, axes: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Where a row or column belongs; what is on none of the axes comes last."""
    values = [sweep.axes[axis] for axis in axes]
    if len(labels) < len(axes) or any(label not in names for label, names in zip(labels, values)):
        return [max(map(len, values))]
    return [names.index(label) for label, names in zip(labels, values)]


def _best(sweep: Sweep, means: Mapping[str, float]) -> set[str]:
    """The cells to mark: the best of all, or of each row or column of the table."""
    groups: dict[tuple, dict[str, float]] = {}
    for row, cells in _places(sweep)[0].items():
        for column, cell in cells.items():
            if cell.name in means:
                group = {'row': row, 'column': column}.get(sweep.best, ())
                groups.setdefault(group, {})[cell.name] = means[cell.name]
    pick = min if sweep.lower else max
    return {name for found in groups.values() if len(found) > 1
            for name, value in found.items() if value == pick(found.values())}


def _one_table(sweep: Sweep, texts: Mapping[str, Mapping[str, str]],
               means: Mapping[str, float], seeds: Mapping[str, list[str]]) -> Table:
    labels = list(sweep.rows) or ['cell']
    with_paper = any(cell.paper is not None for cell in sweep.cells)
    middle = ['images seen', 'seeds'] if seeds else []
    table = Table('', [*labels, *middle, *_quantities(sweep).values(), *(['paper'] * with_paper)],
                  len(labels))
    best = _best(sweep, means)
    for number, (row, cells) in enumerate(_places(sweep)[0].items()):
        cell = cells[()]
        table.rows.append([*row, *seeds.get(cell.name, []),
                           *(by_cell[cell.name] for by_cell in texts.values()),
                           *([_paper(cell)] * with_paper)])
        if cell.name in best:
            table.bold.add((number, len(labels) + len(middle)))
    return table


def _grid(sweep: Sweep, what: str, texts: Mapping[str, str],
          means: Mapping[str, float]) -> Table:
    rows, columns = _places(sweep)
    table = Table(_quantities(sweep)[what], list(sweep.rows) or ['cell'], len(sweep.rows) or 1)
    table.rows = [list(row) for row in rows]
    best = _best(sweep, means)
    for column in columns:
        cells = [row.get(column) for row in rows.values()]
        present = [cell for cell in cells if cell]
        name = ', '.join(map(_heading, sweep.columns, column))
        table.header.append(name or sweep.metric)
        for number, cell in enumerate(cells):
            if cell and cell.name in best:
                table.bold.add((number, len(table.rows[number])))
            table.rows[number].append(texts[cell.name] if cell else '')
        if what == sweep.evaluate[0] and any(cell.paper is not None for cell in present):
            table.header.append(f'paper {name}'.strip())
            for row_texts, cell in zip(table.rows, cells):
                row_texts.append(_paper(cell) if cell else '')
    return table


def _heading(axis: str, label: str) -> str:
    # A number says nothing without its axis, a name needs none.
    return f'{axis}={label}' if re.fullmatch(r'[-+]?\d[\d.e+-]*', label) else label


def _paper(cell: Cell) -> str:
    return '' if cell.paper is None else str(cell.paper)
