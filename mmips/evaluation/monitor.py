# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Gradients and confidence gaps of training runs side by side: Figures 4 and 5 of the IPS paper."""
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import pandas as pd

from mmips.errors import UserError
from mmips.runs import files, logs, tables
from mmips.visualization import monitor as drawing

__all__ = ['compare_monitors', 'read_quantities']

LAYER = 'grad/'
_PANELS = {
    'monitor_kd.png': {"L1 norm of the KL's gradient, mean over pairs": ['kd_grad'],
                       'confidence gap |p1(y) - p2(y)|': ['conf_gap']},
    # With a hard label the whole loss is the cross entropy.
    'monitor_losses.png': {'cross entropy': ['loss_ce', 'loss'], 'alpha x KL': ['loss_kd']},
}
_KEYS = [*(f'{key}{suffix}' for key in ('kd_grad', 'conf_gap')
           for suffix in ('', '_swapped', '_raw')),
         'loss', 'loss_ce', 'loss_kd', 'swap_rate', 'mismatch_rate']
# What is logged, and the hook that logs it.
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


def compare_monitors(runs: Mapping[str, str | os.PathLike], out: str | os.PathLike,
                     epochs: Sequence[int] | None = None) -> pd.DataFrame:
    """Write, print and draw what the training monitors have logged in several runs.

    Args:
        runs (Mapping): Work directories by the names that the results give them.
        out (str | PathLike): Folder for the results; it is made.
        epochs (Sequence[int], optional): The first and the last epoch to take, from 1; of
            iteration-based runs iterations. Defaults to None (all).

    Returns:
        DataFrame: See :func:`read_quantities`.
    """
    found = read_quantities(runs, epochs)
    notes = _missing(found)
    os.makedirs(out, exist_ok=True)
    print(_write_tables(found, Path(out)))
    for line in [*_draw(found, Path(out), epochs), *notes]:
        print(line)
    return found


def read_quantities(runs: Mapping[str, str | os.PathLike],
                    epochs: Sequence[int] | None = None) -> pd.DataFrame:
    """Means of every monitored quantity over an epoch: ``run``, ``quantity``, ``epoch`` (``iter``
    where a run has no epochs) and ``value``, of some epochs or of all.
    """
    log = pd.concat([_training(folder).assign(run=name) for name, folder in runs.items()])
    unit = 'epoch' if log['epoch'].notna().all() else 'iter'
    log[unit] = log['epoch' if unit == 'epoch' else 'step'].astype(int)
    chosen = log[log[unit].between(*epochs)] if epochs else log
    for name, there in log.groupby('run', sort=False)[unit]:
        if epochs and name not in set(chosen['run']):
            raise UserError(f'--epochs: the log of {name} holds nothing from {epochs[0]} to '
                            f'{epochs[1]}, only {unit} {there.min()} to {there.max()}.')
    chosen = chosen[chosen['key'].isin(_KEYS) | chosen['key'].str.startswith(LAYER)]
    parts = [lines.groupby(unit, sort=False)['value'].agg(fmean).reset_index().assign(
        run=run, quantity=key) for (run, key), lines in chosen.groupby(['run', 'key'], sort=False)]
    return pd.concat(parts)[['run', 'quantity', unit, 'value']]


def _training(folder: str | os.PathLike) -> pd.DataFrame:
    log = logs.read_run(folder)
    if not log['training'].any():
        raise UserError(f'{folder} holds no line of training in its */vis_data/scalars.json: give '
                        'the work directory of a training run that has logged at least once.')
    return log[log['training']]


def _missing(found: pd.DataFrame) -> list[str]:
    """What the runs did not log, in words; raises if they logged nothing of interest."""
    missing = [(run, key) for run, part in found.groupby('run', sort=False) for key in _HOOKS
               if not part['quantity'].str.startswith(key).any()]
    names = found['run'].unique()
    if len(missing) == len(_HOOKS) * len(names):
        raise UserError(f'{", ".join(names)}: neither gradients of layers nor of the KL were '
                        f'logged. {_ADVICE}')
    return [f'{run} has logged no {key}: that is done by {_HOOKS[key]}.' for run, key in missing]


def _means(found: pd.DataFrame) -> pd.Series:
    """By quantity and run; NaN where a run has diverged."""
    return found.groupby(['quantity', 'run'], sort=False)['value'].agg(fmean)


def _write_tables(found: pd.DataFrame, out: Path) -> str:
    """Write the JSON, CSV and Markdown files; returns the Markdown."""
    unit, means = found.columns[2], _means(found)
    first, *others = names = list(found['run'].unique())
    runs = {run: {key: dict(zip(lines[unit], lines['value']))
                  for key, lines in part.groupby('quantity', sort=False)}
            for run, part in found.groupby('run', sort=False)}
    files.write_json(out / 'monitor.json', files.plain(dict(unit=unit, runs=runs, means={
        run: {key: means[key, run] for key in runs[run]} for run in names})))
    files.write_csv(out / 'monitor.csv', found.columns, found.assign(
        value=found['value'].map('{:.6g}'.format)).itertuples(index=False))
    rows = []
    for key in sorted(found['quantity'].unique(), key=lambda key: (
            key.startswith(LAYER), key in _KEYS and _KEYS.index(key))):
        base = means.get((key, first), 0)
        rows.append([key, *(f'{means[key, run]:.3g}' if (key, run) in means else ''
                            for run in names),
                     *(f'{means[key, run] / base:.2f}' if base and (key, run) in means else ''
                       for run in others)])
    header = ['mean over the training', *names, *(f'{name} / {first}' for name in others)]
    text = tables.to_markdown('Training monitors', [tables.Table('', header, 1, rows)])
    files.write_text(out / 'monitor.md', text)
    return text


def _draw(found: pd.DataFrame, out: Path, epochs: Sequence[int] | None) -> list[Path]:
    """Draw what there is; returns the paths."""
    unit, figures = found.columns[2], {}
    layers = found[found['quantity'].str.startswith(LAYER)]
    if len(layers):
        # In the order of the log, whichever run has a layer first.
        means = _means(layers).unstack('run').reindex(
            layers['quantity'].unique(), columns=found['run'].unique())
        span = (f'{"iteration" if unit == "iter" else unit}s {epochs[0]} to {epochs[1]}'
                if epochs else 'the training')
        figures['monitor_gradients.png'] = drawing.draw_gradients(
            means.rename(lambda key: key.removeprefix(LAYER)), f'mean over {span}')
    for name, panels in _PANELS.items():
        if found['quantity'].isin(sum(panels.values(), [])).any():
            figures[name] = drawing.draw_curves(found.sort_values(unit, kind='stable'), panels,
                                                unit, split=name == 'monitor_kd.png')
    for name, figure in figures.items():
        files.write_picture(out / name, figure, dpi=130)
    return [out / name for name in figures]
