# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a sweep's runs have come to: their numbers, tables of them, and what pictures show."""
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmips.runs import files
from mmips.runs.sweep_recipes import Recipe, Sweep, table_place
from mmips.runs.tables import Table, to_latex, to_markdown

#: Of each run that has ended, by the name of its recipe and its seed: what ``train_run`` returns,
#: or ``dict(failed='why')``.
Results = dict[tuple[str, int], dict]


def _finished(sweep: Sweep, results: Mapping) -> Iterator[tuple[Recipe, int, dict]]:
    """The runs that have not failed, in the order of the recipes and seeds."""
    for recipe in sweep.recipes:
        for seed in sweep.seeds:
            if 'failed' not in results.get((recipe.name, seed), {'failed': ''}):
                yield recipe, seed, results[recipe.name, seed]


def write_results(sweep: Sweep, results: Results, work_dir: Path) -> str:
    """Write ``results.csv``, ``.json``, ``.md``, ``.tex`` and ``times.csv``; returns the Markdown.

    Nothing in ``results.csv`` depends on when or how often a run was started.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    finished = list(_finished(sweep, results))
    metrics = dict.fromkeys((split, key) for split in sweep.evaluate for _, _, result in finished
                            for key in result[split])
    best = min if sweep.lower else max
    files.write_csv(
        work_dir / 'results.csv',
        ['recipe', *sweep.axes, 'seed', *(f'{split}_{key}' for split, key in metrics),
         'images_seen', 'epochs', 'best_validation'],
        ([recipe.name, *(recipe.axes.get(axis, '') for axis in sweep.axes), seed,
          *(_number(result[split].get(key)) for split, key in metrics), result['images'][-1],
          result['epochs'], _number(best(filter(_is_number, result['scores']), default=None))]
         for recipe, seed, result in finished))
    files.write_csv(
        work_dir / 'times.csv', ['recipe', 'seed', 'seconds', 'resumed'],
        ([recipe.name, seed, result['seconds'], result['resumed']]
         for recipe, seed, result in finished))
    files.write_json(work_dir / 'results.json', dict(sweep=sweep.model_dump(), results=[
        {'recipe': recipe.name, 'seed': seed, **results[recipe.name, seed]}
        for recipe in sweep.recipes for seed in sweep.seeds if (recipe.name, seed) in results]))
    tables = make_tables(sweep, results)
    text = to_markdown(sweep.title, tables)
    files.write_text(work_dir / 'results.md', text)
    files.write_text(work_dir / 'results.tex', to_latex(sweep.title, tables))
    return text


def _is_number(value: float) -> bool:
    return not math.isnan(value)


def _number(value: float | None) -> str:
    # As many digits as single precision has: 50.70000076 was 50.7.
    return '' if value is None else f'{value:.7g}'


def scores_frame(sweep: Sweep, results: Mapping) -> Any:
    """By recipe and seed the metric on each evaluated split, and train minus test as ``gap``."""
    import pandas as pd
    frame = pd.DataFrame(
        [(recipe.name, seed, *(result[split][sweep.metric_of(recipe)] for split in sweep.evaluate))
         for recipe, seed, result in _finished(sweep, results)],
        columns=['recipe', 'seed', *sweep.evaluate]).set_index(['recipe', 'seed']).astype(float)
    return frame.assign(gap=frame.train - frame.test) if {'test', 'train'} <= set(frame) else frame


def _mean(values: Any) -> float:
    """NaN with a seed that has diverged, which pandas would leave out."""
    return values.mean(skipna=False)


def heatmap_frames(sweep: Sweep, results: Mapping) -> dict[tuple[str, ...], Any]:
    """Means over seeds on the first split by the panels' values: DataFrames of y and x."""
    import pandas as pd
    axes: Any = sweep.heatmaps
    means = scores_frame(sweep, results)[sweep.evaluate[0]].groupby(level='recipe').agg(_mean)
    values: dict[tuple, dict] = {}
    for recipe in sweep.recipes:
        if {axes.x, axes.y, *axes.panels} <= set(recipe.axes):
            panel = values.setdefault(tuple(recipe.axes[axis] for axis in axes.panels), {})
            panel[recipe.axes[axes.y], recipe.axes[axes.x]] = means.get(recipe.name, math.nan)
    return {panel: pd.Series(values[panel]).unstack().rename_axis(index=axes.y, columns=axes.x)
            .reindex(index=sweep.axes[axes.y], columns=sweep.axes[axes.x])
            for panel in _in_order(sweep, axes.panels, list(values))}


def curves_frame(sweep: Sweep, results: Mapping) -> Any:
    """A DataFrame of every validation: ``recipe``, ``seed``, ``images`` seen and ``score``."""
    import pandas as pd
    return pd.DataFrame(
        [(recipe.name, seed, images, score) for recipe, seed, result in _finished(sweep, results)
         if sweep.metric_of(recipe) == sweep.metric
         for images, score in zip(result['images'], result['scores'])],
        columns=['recipe', 'seed', 'images', 'score'])


def make_tables(sweep: Sweep, results: Mapping) -> list[Table]:
    """Lay out the metric as the sweep says, each of several metrics by itself.

    Without columns there is one table with all quantities side by side, with columns one for
    each evaluated split and for their difference. The best mean on the first split is marked.
    """
    parts = [sweep.but(metric=metric, recipes=tuple(
        recipe for recipe in sweep.recipes if sweep.metric_of(recipe) == metric))
        for metric in dict.fromkeys(map(sweep.metric_of, sweep.recipes))]
    return [table for part in parts for table in _tables_of(part, results)]


def _tables_of(sweep: Sweep, results: Mapping) -> Iterator[Table]:
    """The tables of a sweep of one metric."""
    scores, first = scores_frame(sweep, results), sweep.evaluate[0]
    texts = _texts(sweep, results, scores)
    best = _best(sweep, scores[first].groupby(level='recipe').agg(_mean))
    headings = {split: f'{split} {sweep.metric} {"↓" if sweep.lower else "↑"}'
                for split in sweep.evaluate} | {'gap': 'gap (train − test)'}
    places = {table_place(sweep, recipe): recipe.name for recipe in sweep.recipes}
    rows = _in_order(sweep, sweep.table.rows, [row for row, _ in places])
    columns = _in_order(sweep, sweep.table.columns, [column for _, column in places])
    labels = sweep.table.rows or ('recipe', )
    split_up = {headings[quantity]: [quantity, *(['paper'] if quantity == first else [])]
                for quantity in scores}
    for title, quantities in (split_up if sweep.table.columns else {'': list(texts)}).items():
        table = Table(title, list(labels), len(labels), list(map(list, rows)))
        for column, quantity in itertools.product(columns, quantities):
            names = [places.get((row, column), '') for row in rows]
            found = [texts[quantity].get(name, '') for name in names]
            if quantity == 'paper' and not any(found):
                continue
            if quantity == first:
                table.bold |= {(number, len(table.header)) for number, name in enumerate(names)
                               if name in best}
            table.header.append(_heading(sweep, column, quantity) if title else
                                headings.get(quantity, quantity))
            table.rows = [[*row, text] for row, text in zip(table.rows, found)]
        yield table


def _texts(sweep: Sweep, results: Mapping, scores: Any) -> dict[str, dict[str, str]]:
    """What is said of every recipe, by quantity."""
    names = [recipe.name for recipe in sweep.recipes]
    # Percent in hundredths, shares of one in ten thousandths.
    digits = 2 if (scores[list(sweep.evaluate)].abs() > 1.5).any(axis=None) else 4
    groups = scores.groupby(level='recipe')
    numbered = groups.size().nunique() > 1

    def summary(values: Any) -> str:
        spread = f' ± {values.std(skipna=False):.{digits}f}' if len(values) > 1 else ''
        return f'{_mean(values):.{digits}f}{spread}' + (f' (n={len(values)})' if numbered else '')

    runs = {name: [run for run in scores.index if run[0] == name] for name in names}
    first = scores[sweep.evaluate[0]]
    every_seed = {
        'images seen': {name: ', '.join(dict.fromkeys(
            f'{results[run]["images"][-1]:,}' for run in runs[name])) for name in names},
        'seeds': {name: ', '.join(f'{run[1]}: {first[run]:.{digits}f}' for run in runs[name])
                  for name in names}} if sweep.table.seeds else {}
    return {**every_seed,
            **groups.agg(summary).astype(object).reindex(names, fill_value='–').to_dict(),
            'paper': {recipe.name: '' if recipe.paper is None else str(recipe.paper)
                      for recipe in sweep.recipes}}


def _best(sweep: Sweep, means: Any) -> set[str]:
    """The recipes to mark: the best of all, or of each row or column of the table."""
    parts = {'table': slice(0), 'row': slice(1), 'column': slice(1, 2)}[sweep.table.best]
    group_of = {recipe.name: str(table_place(sweep, recipe)[parts]) for recipe in sweep.recipes}
    groups = means.groupby(group_of)
    best = groups.transform('min' if sweep.lower else 'max')
    return set(means.index[(means == best) & (groups.transform('size') > 1)])


def _in_order(sweep: Sweep, axes: Sequence[str], places: Sequence[tuple]) -> list[tuple]:
    """Rows or columns in the order of their axes; what is on none of them comes last."""
    known = itertools.product(*(sweep.axes[axis] for axis in axes))
    return list(dict.fromkeys([*(place for place in known if place in places), *places]))


def _heading(sweep: Sweep, column: Sequence[str], quantity: str) -> str:
    # A number says nothing without its axis, a name needs none.
    name = ', '.join(f'{axis}={label}' if re.fullmatch(r'[-+]?\d[\d.e+-]*', label) else label
                     for axis, label in zip(sweep.table.columns, column))
    return f'paper {name}'.strip() if quantity == 'paper' else name or sweep.metric
