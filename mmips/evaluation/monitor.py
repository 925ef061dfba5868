# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Gradients and confidence gaps of training runs side by side: Figures 4 and 5 of the IPS paper."""
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.runs import logs, tables
from mmips.visualization import monitor as drawing

LAYER = 'grad/'
_PANELS = {
    'monitor_kd': {"L1 norm of the KL's gradient, mean over pairs": ['kd_grad'],
                   'confidence gap |p1(y) - p2(y)|': ['conf_gap']},
    # With a hard label the whole loss is the cross entropy.
    'monitor_losses': {'cross entropy': ['loss_ce', 'loss'], 'alpha x KL': ['loss_kd']},
}
_KEYS = [*(f'{key}{suffix}' for key in ('kd_grad', 'conf_gap')
           for suffix in ('', '_swapped', '_raw')),
         'loss', 'loss_ce', 'loss_kd', 'swap_rate', 'mismatch_rate']
_HOOKS = {LAYER: "dict(type='mmips.GradientMonitor')",
          'kd_grad': "dict(type='mmips.SelfDistillMonitor') of a SelfDistillClassifier"}
_ADVICE = """Train with these hooks beside the config's own (a list replaces that of its base):
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),  # not with a hard label
    dict(type='mmips.GradientMonitor'),
]
or with --cfg-options default_hooks.gradients.type=mmips.GradientMonitor, which leaves the list
alone."""


def compare_monitors(runs: Mapping[str, str | Path], out: str | Path,
                     epochs: Sequence[int] | None = None) -> pd.DataFrame:
    """Write, print, draw and return what the training monitors have logged in several runs.

    ``runs`` are work directories by their names in the results, ``epochs`` the first and the last
    epoch to take, from 1, or iterations of iteration-based runs.
    """
    found = read_quantities(runs, epochs)
    unit, means = found.columns[2], _means(found)
    parts = {run: {key: dict(zip(lines[unit], lines['value']))
                   for key, lines in part.groupby('quantity', sort=False)}
             for run, part in found.groupby('run', sort=False)}
    predictions.write(
        out, 'monitor', tables.to_markdown('Training monitors', [_table(means, list(parts))]),
        found.assign(value=found['value'].map('{:.6g}'.format)).to_dict('records'),
        dict(unit=unit, runs=parts, means={run: {key: means[key, run] for key in part}
                                           for run, part in parts.items()}),
        dpi=130, **_draw(found, epochs))
    for run, (key, hook) in itertools.product(parts, _HOOKS.items()):
        if not any(quantity.startswith(key) for quantity in parts[run]):
            print(f'{run} has logged no {key}: that is done by {hook}.')
    return found


def read_quantities(runs: Mapping[str, str | Path],
                    epochs: Sequence[int] | None = None) -> pd.DataFrame:
    """Means over each epoch: ``run``, ``quantity``, ``epoch`` (or else ``iter``) and ``value``."""
    log = pd.concat([logs.read_run(folder).query('training').assign(run=name)
                     for name, folder in runs.items()])
    if not log['key'].str.startswith(tuple(_HOOKS)).any():
        raise UserError(f'{", ".join(runs)}: neither gradients of layers nor of the KL were '
                        f'logged. {_ADVICE}')
    unit = 'epoch' if log['epoch'].notna().all() else 'iter'
    log[unit] = log['epoch' if unit == 'epoch' else 'step'].astype(int)
    chosen = log[log[unit].between(*epochs)] if epochs else log
    for name, there in log.groupby('run', sort=False)[unit]:
        if epochs and name not in set(chosen['run']):
            raise UserError(f'--epochs: the log of {name} holds nothing from {epochs[0]} to '
                            f'{epochs[1]}, only {unit} {there.min()} to {there.max()}.')
    chosen = chosen[chosen['key'].isin(_KEYS) | chosen['key'].str.startswith(LAYER)]
    parts = [lines.groupby(unit, sort=False)['value'].agg(_mean).reset_index().assign(
        run=run, quantity=key) for (run, key), lines in chosen.groupby(['run', 'key'], sort=False)]
    return pd.concat(parts)[['run', 'quantity', unit, 'value']]


def _mean(values: pd.Series) -> float:
    """NaN where a run has diverged, which pandas would skip."""
    return float(values.mean(skipna=False))


def _means(found: pd.DataFrame) -> pd.Series:
    """By quantity and run."""
    return found.groupby(['quantity', 'run'], sort=False)['value'].agg(_mean)


def _table(means: pd.Series, names: Sequence[str]) -> tables.Table:
    """The means of all runs, and the shares of them that are the first one's."""
    first, *others = names
    rows = []
    for key in sorted(means.index.get_level_values(0).unique(), key=lambda key: (
            key.startswith(LAYER), key in _KEYS and _KEYS.index(key))):
        known = means[key]
        base = known.get(first, 0)
        rows.append([key, *(f'{known[run]:.3g}' if run in known else '' for run in names),
                     *(f'{known[run] / base:.2f}' if base and run in known else ''
                       for run in others)])
    header = ['mean over the training', *names, *(f'{name} / {first}' for name in others)]
    return tables.Table('', header, 1, rows)


def _draw(found: pd.DataFrame, epochs: Sequence[int] | None) -> dict[str, Any]:
    """Draw what there is, by the names of the pictures."""
    unit, figures = found.columns[2], {}
    layers = found[found['quantity'].str.startswith(LAYER)]
    if len(layers):
        # In the order of the log, whichever run has a layer first.
        means = _means(layers).unstack('run').reindex(
            layers['quantity'].unique(), columns=found['run'].unique())
        span = (f'{"iteration" if unit == "iter" else unit}s {epochs[0]} to {epochs[1]}'
                if epochs else 'the training')
        figures['monitor_gradients'] = drawing.draw_gradients(
            means.rename(lambda key: key.removeprefix(LAYER)), f'mean over {span}')
    for name, panels in _PANELS.items():
        if found['quantity'].isin(sum(panels.values(), [])).any():
            figures[name] = drawing.draw_curves(found.sort_values(unit, kind='stable'), panels,
                                                unit, split=name == 'monitor_kd')
    return figures
