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
        runs (Mapping[str, str | PathLike]): Work directories by the names that the results give
            them.
        out (str | PathLike): Folder for ``monitor.md``, ``.csv``, ``.json`` and
            ``monitor_gradients.png``, ``monitor_kd.png``, ``monitor_losses.png``; it is made.
        epochs (Sequence[int], optional): The first and the last epoch to take, from 1; of
            iteration-based runs iterations. Defaults to None (all).

    Returns:
        DataFrame: See :func:`read_quantities`.

    Raises:
        UserError: For runs that have logged nothing of interest.
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
    """The means of every monitored quantity over the lines of an epoch.

    Args:
        runs (Mapping[str, str | PathLike]): Work directories by name.
        epochs (Sequence[int], optional): The first and the last to take. Defaults to None (all).

    Returns:
        DataFrame: ``run``, ``quantity``, ``epoch`` (``iter`` where a run has no epochs) and
        ``value``.

    Raises:
        UserError: A log has no line of training, or none of those epochs.
    """
    found = {name: _training(folder) for name, folder in runs.items()}
    has_epochs = all(log['epoch'].notna().all() for log in found.values())
    unit = 'epoch' if has_epochs else 'iter'
    parts = []
    for name, log in found.items():
        log[unit] = log['epoch' if has_epochs else 'step'].astype(int)
        chosen = log[log[unit].between(*epochs)] if epochs else log
        if epochs and chosen.empty:
            raise UserError(f'--epochs: the log of {name} holds nothing from {epochs[0]} to '
                            f'{epochs[1]}, only {unit} {log[unit].min()} to {log[unit].max()}.')
        wanted = chosen['key'].isin(_KEYS) | chosen['key'].str.startswith(LAYER)
        for key, lines in chosen[wanted].groupby('key', sort=False):
            means = lines.groupby(unit, sort=False)['value'].agg(fmean).reset_index()
            parts.append(means.assign(run=name, quantity=key))
    return pd.concat(parts)[['run', 'quantity', unit, 'value']]


def _training(folder: str | os.PathLike) -> pd.DataFrame:
    log = logs.read_run(folder)
    if not log['training'].any():
        raise UserError(f'{folder} holds no line of training in its */vis_data/scalars.json: give '
                        'the work directory of a training run that has logged at least once.')
    return log[log['training']].copy()


def _missing(found: pd.DataFrame) -> list[str]:
    """What the runs did not log, in words; raises if they logged nothing of interest."""
    missing = [(run, key) for run, part in found.groupby('run', sort=False) for key in _HOOKS
               if not part['quantity'].str.startswith(key).any()]
    names = found['run'].unique()
    if len(missing) == len(_HOOKS) * len(names):
        raise UserError(f'{", ".join(names)}: neither gradients of layers nor of the KL were '
                        f'logged. {_ADVICE}')
    return [f'{run} has logged no {key}: that is done by {_HOOKS[key]}.' for run, key in missing]


def _means(found: pd.DataFrame) -> pd.DataFrame:
    """A row a quantity in the order of the log, a column a run."""
    means = found.groupby(['quantity', 'run'], sort=False)['value'].agg(fmean).unstack('run')
    return means.loc[found['quantity'].unique(), found['run'].unique()]


def _write_tables(found: pd.DataFrame, out: Path) -> str:
    """Write the JSON, CSV and Markdown files; returns the Markdown."""
    unit, means = found.columns[2], _means(found)
    runs = {run: {key: dict(zip(lines[unit], lines['value']))
                  for key, lines in part.groupby('quantity', sort=False)}
            for run, part in found.groupby('run', sort=False)}
    files.write_json(out / 'monitor.json', dict(
        unit=unit, runs=runs, means={run: means[run].dropna().to_dict() for run in means}))
    files.write_csv(out / 'monitor.csv', found.columns, found.assign(
        value=found['value'].map('{:.6g}'.format)).itertuples(index=False))
    first, *others = means
    order = sorted(means.index, key=lambda key: (key.startswith(LAYER),
                                                 key in _KEYS and _KEYS.index(key)))
    ratios = means[others].div(means[first].where(means[first] != 0), axis=0)
    texts = pd.concat([means.map(lambda value: f'{value:.3g}'),
                       ratios.map(lambda value: f'{value:.2f}')], axis=1).loc[order]
    header = ['mean over the training', *means, *(f'{name} / {first}' for name in others)]
    rows = [[key, *row] for key, row in zip(order, texts.replace('nan', '').values.tolist())]
    text = tables.to_markdown('Training monitors', [tables.Table('', header, 1, rows)])
    files.write_text(out / 'monitor.md', text)
    return text


def _draw(found: pd.DataFrame, out: Path, epochs: Sequence[int] | None) -> list[Path]:
    """Draw what there is; returns the paths."""
    unit, figures = found.columns[2], {}
    means = _means(found)
    layers = means[means.index.str.startswith(LAYER)].rename(lambda key: key.removeprefix(LAYER))
    if len(layers):
        span = (f'{"iteration" if unit == "iter" else unit}s {epochs[0]} to {epochs[1]}'
                if epochs else 'the training')
        figures['monitor_gradients.png'] = drawing.draw_gradients(layers, f'mean over {span}')
    for name, panels in _PANELS.items():
        if found['quantity'].isin(sum(panels.values(), [])).any():
            figures[name] = drawing.draw_curves(found.sort_values(unit, kind='stable'), panels,
                                                unit, split=name == 'monitor_kd.png')
    for name, figure in figures.items():
        files.write_picture(out / name, figure, dpi=130)
    return [out / name for name in figures]
