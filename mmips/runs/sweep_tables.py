# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a sweep's runs have come to: their numbers, tables of them, and what pictures show."""
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmips.runs import files
from mmips.runs.sweep_recipes import Recipe, Sweep, table_place
from mmips.runs.tables import Table, to_latex, to_markdown

__all__ = ['Results', 'curves_frame', 'heatmap_frames', 'make_tables', 'scores_frame',
           'write_results']

#: Of each run that has ended, by the name of its recipe and its seed: what ``train_run`` returns,
#: or ``dict(failed='why')``.
Results = dict[tuple[str, int], dict]
_NOTHING = '–'


def _finished(sweep: Sweep, results: Mapping) -> Iterator[tuple[Recipe, int, dict]]:
    """The runs that have not failed, in the order of the recipes and seeds."""
    for recipe in sweep.recipes:
        for seed in sweep.seeds:
            if 'failed' not in results.get((recipe.name, seed), {'failed': ''}):
                yield recipe, seed, results[recipe.name, seed]


def write_results(sweep: Sweep, results: Results, work_dir: Path) -> str:
    """Write ``results.csv``, ``.json``, ``.md``, ``.tex`` and ``times.csv``; returns the Markdown.

    ``results.csv`` has a row a run in the order of the recipes and seeds, and nothing in it that
    depends on when or how often a run was started.
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
          result['epochs'], _number(best(result['scores']))] for recipe, seed, result in finished))
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


def _number(value: float | None) -> str:
    # As many digits as single precision has: 50.70000076 was 50.7.
    return '' if value is None else f'{value:.7g}'


def scores_frame(sweep: Sweep, results: Mapping) -> Any:
    """A DataFrame with a row a finished run.

    Its index is ``recipe`` and ``seed``, its columns the metric on each evaluated split and, with
    both test and train, ``gap``, their difference.
    """
    import pandas as pd
    rows = {(recipe.name, seed): {split: result[split][sweep.metric_of(recipe)]
                                  for split in sweep.evaluate}
            for recipe, seed, result in _finished(sweep, results)}
    index = pd.MultiIndex.from_tuples(list(rows), names=['recipe', 'seed']) if rows else (
        pd.MultiIndex.from_arrays([[], []], names=['recipe', 'seed']))
    frame = pd.DataFrame(list(rows.values()), index, list(sweep.evaluate), dtype=float)
    return frame.assign(gap=frame.train - frame.test) if {'test', 'train'} <= set(frame) else frame


def heatmap_frames(sweep: Sweep, results: Mapping) -> dict[tuple[str, ...], Any]:
    """Means over seeds on the first split by the panels' values: DataFrames of y and x."""
    import pandas as pd
    axes, maps = sweep.heatmaps, {}
    if axes is None:
        return {}
    means = scores_frame(sweep, results)[sweep.evaluate[0]].groupby(level='recipe').mean()
    for names in itertools.product(*(sweep.axes[axis] for axis in axes.panels)):
        there = [recipe for recipe in sweep.recipes if {axes.x, axes.y} <= set(recipe.axes)
                 and tuple(map(recipe.axes.get, axes.panels)) == names]
        frame = pd.DataFrame(index=pd.Index(sweep.axes[axes.y], name=axes.y), dtype=float,
                             columns=pd.Index(sweep.axes[axes.x], name=axes.x))
        for recipe in there:
            frame.loc[recipe.axes[axes.y], recipe.axes[axes.x]] = means.get(recipe.name)
        if there:
            maps[names] = frame
    return maps


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

    Without columns there is one table with a row a place and, in columns, the metric on every
    evaluated split, train minus test, and the paper's value, after the images seen and each
    seed's value where they are asked for; with columns a table for each of the splits and one
    for the difference. The best mean on the first of the splits is marked.
    """
    tables = []
    for metric in dict.fromkeys(map(sweep.metric_of, sweep.recipes)):
        part = sweep.but(metric=metric, recipes=tuple(
            recipe for recipe in sweep.recipes if sweep.metric_of(recipe) == metric))
        layout = _Layout(part, results)
        tables += ([layout.grid(quantity) for quantity in layout.headings]
                   if sweep.table.columns else [layout.rows_alone()])
    return tables


class _Layout:
    """The texts of the recipes' results, and where they stand."""

    def __init__(self, sweep: Sweep, results: Mapping) -> None:
        self.sweep, self.results = sweep, results
        self.scores = scores_frame(sweep, results)
        # Percent in hundredths, shares of one in ten thousandths.
        splits = self.scores[list(sweep.evaluate)]
        self.digits = 2 if (splits.abs() > 1.5).any(axis=None) else 4
        stats = self.scores.groupby(level='recipe').agg(['mean', 'std', 'count'])
        first = stats[sweep.evaluate[0]]
        numbered = first['count'].nunique() > 1
        self.means: dict[str, float] = first['mean'].to_dict()
        self.texts = {quantity: {name: self._text(row, numbered) for name, row in
                                 stats[quantity].iterrows()} for quantity in self.scores}
        arrow = '↓' if sweep.lower else '↑'
        self.headings: dict[str, str] = {
            split: f'{split} {sweep.metric} {arrow}' for split in sweep.evaluate}
        if 'gap' in self.scores:
            self.headings['gap'] = 'gap (train − test)'
        self.places: dict[tuple, dict[tuple, Recipe]] = {}
        for recipe in sweep.recipes:
            row, column = table_place(sweep, recipe)
            self.places.setdefault(row, {})[column] = recipe
        self.rows = sorted(self.places, key=lambda labels: self._rank(sweep.table.rows, labels))
        self.columns = sorted(dict.fromkeys(column for row in self.places.values()
                                            for column in row),
                              key=lambda labels: self._rank(sweep.table.columns, labels))

    def _text(self, row: Any, numbered: bool) -> str:
        spread = f' ± {row["std"]:.{self.digits}f}' if row['count'] > 1 else ''
        number = f' (n={row["count"]:.0f})' if numbered else ''
        return f'{row["mean"]:.{self.digits}f}{spread}{number}'

    def _rank(self, axes: Sequence[str], labels: Sequence[str]) -> list[int]:
        """Where a row or column belongs; what is on none of the axes comes last."""
        values = [self.sweep.axes[axis] for axis in axes]
        if len(labels) < len(axes) or any(label not in names
                                          for label, names in zip(labels, values)):
            return [max(map(len, values), default=0)]
        return [names.index(label) for label, names in zip(labels, values)]

    def _best(self) -> set[str]:
        """The recipes to mark: the best of all, or of each row or column of the table."""
        groups: dict[tuple, dict[str, float]] = {}
        for row, recipes in self.places.items():
            for column, recipe in recipes.items():
                group = {'row': row, 'column': column}.get(self.sweep.table.best, ())
                if recipe.name in self.means:
                    groups.setdefault(group, {})[recipe.name] = self.means[recipe.name]
        pick = min if self.sweep.lower else max
        return {name for found in groups.values() if len(found) > 1
                for name, value in found.items() if value == pick(found.values())}

    def _seeds(self, recipe: Recipe) -> list[str]:
        """The images seen and every seed's value."""
        name, split = recipe.name, self.sweep.evaluate[0]
        values = self.scores[split].xs(name) if name in self.means else {}
        images = dict.fromkeys(f'{self.results[name, seed]["images"][-1]:,}'
                               for seed in values.keys())
        return [', '.join(images), ', '.join(f'{seed}: {value:.{self.digits}f}'
                                             for seed, value in values.items())]

    def rows_alone(self) -> Table:
        """The table without columns."""
        labels, seeds = list(self.sweep.table.rows) or ['recipe'], self.sweep.table.seeds
        middle = ['images seen', 'seeds'] if seeds else []
        paper = any(recipe.paper is not None for recipe in self.sweep.recipes)
        table = Table('', [*labels, *middle, *self.headings.values(), *['paper'] * paper],
                      len(labels))
        best = self._best()
        for number, row in enumerate(self.rows):
            recipe = self.places[row][()]
            table.rows.append([*row, *(self._seeds(recipe) if seeds else []),
                               *(self.texts[quantity].get(recipe.name, _NOTHING)
                                 for quantity in self.headings), *[_paper(recipe)] * paper])
            if recipe.name in best:
                table.bold.add((number, len(labels) + len(middle)))
        return table

    def grid(self, quantity: str) -> Table:
        """The table with columns of one quantity."""
        first = quantity == self.sweep.evaluate[0]
        labels = list(self.sweep.table.rows) or ['recipe']
        table = Table(self.headings[quantity], labels, len(labels), list(map(list, self.rows)))
        best = self._best() if first else set()
        for column in self.columns:
            recipes = [self.places[row].get(column) for row in self.rows]
            name = ', '.join(map(_heading, self.sweep.table.columns, column))
            table.header.append(name or self.sweep.metric)
            for number, recipe in enumerate(recipes):
                if recipe and recipe.name in best:
                    table.bold.add((number, len(table.rows[number])))
                table.rows[number].append(
                    self.texts[quantity].get(recipe.name, _NOTHING) if recipe else '')
            if first and any(recipe and recipe.paper is not None for recipe in recipes):
                table.header.append(f'paper {name}'.strip())
                for texts, recipe in zip(table.rows, recipes):
                    texts.append(_paper(recipe) if recipe else '')
        return table


def _heading(axis: str, label: str) -> str:
    # A number says nothing without its axis, a name needs none.
    return f'{axis}={label}' if re.fullmatch(r'[-+]?\d[\d.e+-]*', label) else label


def _paper(recipe: Recipe) -> str:
    return '' if recipe.paper is None else str(recipe.paper)
