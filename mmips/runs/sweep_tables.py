# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a sweep's runs have come to: their numbers, tables of them, and what pictures show."""
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmips.runs import files
from mmips.runs.sweep_recipes import RECIPE, Recipe, Sweep, table_place
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
        [(recipe.name, seed, *(result[split].get(sweep.metric_of(recipe), math.nan)
                               for split in sweep.evaluate))
         for recipe, seed, result in _finished(sweep, results)
         # What other tools find of a run may not be there yet.
         if sweep.metric_of(recipe) in result[sweep.evaluate[0]]],
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
    """Lay out the metrics as the sweep says; that of recipes with one of their own by itself.

    Without columns there is one table with all quantities side by side, with columns one for
    each evaluated split, for their difference and what else is told. The best mean on the first
    split is marked.
    """
    whole, parts = sweep.by_metric(), dict[str, list[Recipe]]()
    for recipe in whole.recipes:
        key = sweep.metric if recipe.metric in sweep.more else recipe.metric
        parts.setdefault(key, []).append(recipe)
    found = {(recipe.name, seed): results[run] for recipe in whole.recipes for seed in sweep.seeds
             if (run := (recipe.name.partition('\0')[0], seed)) in results}
    return [table for metric, recipes in parts.items()
            for table in _tables_of(whole.but(metric=metric, recipes=tuple(recipes)), found)]


def _tables_of(sweep: Sweep, results: Mapping) -> Iterator[Table]:
    """The tables of a sweep with a recipe for each metric."""
    scores, first = scores_frame(sweep, results), sweep.evaluate[0]
    texts = _texts(sweep, results, scores)
    best = _best(sweep, scores[first].groupby(level='recipe').agg(_mean))
    headings = {split: split if sweep.more else f'{split} {sweep.heading(sweep.metric)}'
                for split in sweep.evaluate} | {'gap': 'gap (train − test)'}
    places = {table_place(sweep, recipe): recipe.name for recipe in sweep.recipes}
    rows = _in_order(sweep, sweep.table.rows, [row for row, _ in places])
    columns = _in_order(sweep, sweep.table.columns, [column for _, column in places])
    labels = sweep.table.rows or (RECIPE, )
    split_up = {headings.get(quantity, quantity): [quantity, *['paper'] * (quantity == first)]
                for quantity in texts if quantity != 'paper'}
    for title, quantities in (split_up if sweep.table.columns else {'': list(texts)}).items():
        table = Table(title, list(labels), len(labels), list(map(list, rows)))
        for column, quantity in itertools.product(columns, quantities):
            names = [places.get((row, column), '') for row in rows]
            found = [texts[quantity].get(name, '') for name in names]
            if quantity not in scores and not any(found):
                continue
            if quantity == first:
                table.bold |= {(number, len(table.header)) for number, name in enumerate(names)
                               if name in best}
            table.header.append(_heading(sweep, column, quantity) if title else
                                headings.get(quantity, quantity))
            table.rows = [[*row, text] for row, text in zip(table.rows, found)]
        if not table.bold:
            table.rows = [row for row in table.rows if any(row[table.labels:])]
        yield table


def _texts(sweep: Sweep, results: Mapping, scores: Any) -> dict[str, dict[str, str]]:
    """What is said of every recipe, by quantity."""
    import pandas as pd
    recipes, first = {recipe.name: recipe for recipe in sweep.recipes}, scores[sweep.evaluate[0]]
    # Of each metric percent in hundredths, shares of one in ten thousandths.
    large = (scores[list(sweep.evaluate)].abs() > 1.5).any(axis=1).groupby(
        lambda run: sweep.metric_of(recipes[run[0]])).any()
    digits = {name: 2 if large.get(sweep.metric_of(recipe)) else 4
              for name, recipe in recipes.items()}
    groups = scores.groupby(level=RECIPE)
    numbered = groups.size().nunique() > 1

    def summary(values: Any) -> str:
        places = digits[values.index[0][0]]
        spread = f' ± {values.std(skipna=False):.{places}f}' if len(values) > 1 else ''
        return f'{_mean(values):.{places}f}{spread}' + (f' (n={len(values)})' if numbered else '')

    runs = {name: [run for run in scores.index if run[0] == name] for name in recipes}
    told: dict[str, dict[str, str]] = {}
    if sweep.table.seeds:
        told['images seen'] = {name: ', '.join(dict.fromkeys(
            f'{results[run]["images"][-1]:,}' for run in runs[name])) for name in recipes}
        told['seeds'] = {name: ', '.join(f'{run[1]}: {first[run]:.{digits[name]}f}'
                                         for run in runs[name]) for name in recipes}
    told |= groups.agg(summary).astype(object).reindex(list(recipes), fill_value='–').to_dict()
    if sweep.table.paired:
        told[f'difference to {sweep.table.paired}, 95 % interval'] = {
            name: _interval(first[name] - first[other], digits[name])
            for name, recipe in recipes.items() if (other := _reference(sweep, recipe)) in first
            and name in first and name != other}
    if sweep.table.best_epoch:
        best = min if sweep.lower else max
        own = [run for run in scores.index if recipes[run[0]].metric == sweep.metric]
        gaps = [best(filter(_is_number, results[run]['scores']), default=math.nan)
                - results[run]['scores'][-1] for run in own]
        told['best epoch − last'] = pd.Series(gaps, first[own].index, float).groupby(
            level=RECIPE).agg(summary).to_dict()
    told['paper'] = {name: ' ± '.join(map(str, recipe.paper.get(sweep.metric_of(recipe), ())))
                     for name, recipe in recipes.items()}
    return told


def _reference(sweep: Sweep, recipe: Recipe) -> str:
    """The recipe from which the difference is told: of the same metric, on the same other axes."""
    wanted = sweep.table.paired
    for other in sweep.recipes:
        changed = {axis for axis in {*other.axes, *recipe.axes} - {RECIPE}
                   if other.axes.get(axis) != recipe.axes.get(axis)}
        if other.metric == recipe.metric and (other.axes[RECIPE] == wanted or (
                wanted in map(other.axes.get, sweep.axes) and all(
                    other.axes.get(axis) == wanted for axis in changed))):
            return other.name
    return ''


def _interval(differences: Any, digits: int) -> str:
    """Mean of the seeds that both have, and where Student's t expects that of all seeds."""
    from scipy import stats
    differences = differences.dropna()
    mean, number = differences.mean(), len(differences)
    if not number:
        return ''
    half = stats.t.ppf(0.975, number - 1) * differences.sem() if number > 1 else None
    return f'{mean:+.{digits}f}' + ('' if half is None else (
        f' [{mean - half:+.{digits}f}, {mean + half:+.{digits}f}]'))


def _best(sweep: Sweep, means: Any) -> set[str]:
    """The recipes to mark: of each metric the best of all, or of each row or column."""
    parts = {'table': slice(0), 'row': slice(1), 'column': slice(1, 2)}[sweep.table.best]
    recipes = {recipe.name: recipe for recipe in sweep.recipes}
    goodness = means * [-1 if sweep.is_lower(recipes[name].metric) else 1 for name in means.index]
    groups = goodness.groupby({name: str((recipe.metric, *table_place(sweep, recipe)[parts]))
                               for name, recipe in recipes.items()})
    return set(means.index[(goodness == groups.transform('max'))
                           & (groups.transform('size') > 1)])


def _in_order(sweep: Sweep, axes: Sequence[str], places: Sequence[tuple]) -> list[tuple]:
    """Rows or columns in the order of their axes; what is on none of them comes last."""
    known = itertools.product(*(sweep.axes[axis] for axis in axes))
    return list(dict.fromkeys([*(place for place in known if place in places), *places]))


def _heading(sweep: Sweep, column: Sequence[str], quantity: str) -> str:
    # A number says nothing without its axis, a name needs none.
    name = ', '.join(f'{axis}={label}' if re.fullmatch(r'[-+]?\d[\d.e+-]*', label) else label
                     for axis, label in zip(sweep.table.columns, column))
    return f'paper {name}'.strip() if quantity == 'paper' else name or sweep.metric
