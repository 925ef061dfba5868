# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Gradients and confidence gaps of training runs side by side: Figures 4 and 5 of the IPS paper.

::

    python tools/analysis_tools/plot_monitor.py WORK_DIR [WORK_DIR ...] \\
        --names 'no swap' IPS --out DIR

Reads what ``mmips.GradientMonitor`` and ``mmips.SelfDistillMonitor`` have logged
(``vis_data/scalars.json``; the logs of a resumed run are joined). Writes

- ``monitor_gradients.png``: mean absolute gradient of each convolution (Figure 4);
- ``monitor_kd.png``: L1 norm of the KL's gradient (Figure 5) and confidence gap over the epochs,
  of swapped and raw pairs too;
- ``monitor_losses.png``: cross entropy and KL over the epochs;
- ``monitor.md``: the means, side by side; ``monitor.csv``: run, quantity, epoch, value;
  ``monitor.json``: both.
"""
import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import mmips  # noqa: F401  (first: it mends mmengine where that is needed)
from mmips.evaluation import predictions
from mmips.runs import cli, files

LAYER = 'grad/'
GAP, NORM = 'confidence gap |p1(y) - p2(y)|', "L1 norm of the KL's gradient, mean over pairs"
KD_PANELS = {NORM: ['kd_grad'], GAP: ['conf_gap']}
# With a hard label the whole loss is the cross entropy.
LOSS_PANELS = {'cross entropy': ['loss_ce', 'loss'], 'alpha x KL': ['loss_kd']}
KEYS = [f'{key}{suffix}' for key in ('kd_grad', 'conf_gap') for suffix in ('', '_swapped', '_raw')
        ] + ['loss', 'loss_ce', 'loss_kd', 'swap_rate', 'mismatch_rate']
# What is logged, and the hook that logs it.
HOOKS = {LAYER: "dict(type='mmips.GradientMonitor')",
         'kd_grad': "dict(type='mmips.SelfDistillMonitor') of a SelfDistillClassifier"}
ADVICE = """Train with these hooks beside the config's own (a list replaces that of its base):
custom_hooks = [
    dict(type='mmips.EpochSeedHook'),
    dict(type='mmips.SelfDistillMonitor'),  # not with a hard label
    dict(type='mmips.GradientMonitor'),
]
or with --cfg-options default_hooks.gradients.type=mmips.GradientMonitor, which leaves the list
alone."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Draw what the training monitors have logged')
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR',
                        help='work directories of training runs')
    parser.add_argument('--names', nargs='+', metavar='NAME',
                        help='a name for each run (default: its folder)')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--epochs', nargs=2, type=int, metavar=('A', 'B'),
                        help='only the epochs A to B, the first being 1 (default: all; of '
                        'iteration-based runs iterations)')
    args = parser.parse_args(argv)
    args.checkpoints, args.names = args.work_dirs, args.names or [
        Path(folder).resolve().name for folder in args.work_dirs]
    predictions.check_names(parser, args)
    if args.epochs and not 1 <= args.epochs[0] <= args.epochs[1]:
        parser.error(f'--epochs needs 1 <= A <= B, got {args.epochs[0]} {args.epochs[1]}')
    return args


def read_log(folder: str) -> list[dict]:
    """The lines of training of a work directory, in the order of iterations.

    Raises:
        FileNotFoundError: It has no ``vis_data/scalars.json``, or no line of training.
    """
    lines: list[dict] = []
    files = sorted(Path(folder).glob('*/vis_data/scalars.json'))
    for file in files:
        new = [record for record in _records(file) if 'iter' in record]
        # A run that was resumed, or started anew, goes on from its own first line.
        lines = [line for line in lines if new and line['iter'] < new[0]['iter']] + new \
            if new else lines
    if not lines:
        what = f'no line of training in {files[-1]}' if files else 'no */vis_data/scalars.json'
        raise FileNotFoundError(f'{folder} holds {what}: give the work directory of a training '
                                'run that has logged at least once.')
    return lines


def _records(file: Path) -> Iterator[dict]:
    for line in file.read_text(encoding='utf-8').splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # A killed run may have left half a line.
            continue


def by_epoch(lines: Sequence[dict], unit: str,
             span: Sequence[int] | None) -> dict[str, dict[int, float]]:
    """Of every key the mean of an epoch's lines, by epoch."""
    values: dict[str, dict[int, list[float]]] = {}
    for line in lines:
        if span is None or span[0] <= line[unit] <= span[1]:
            for key, value in line.items():
                if key in KEYS or key.startswith(LAYER):
                    values.setdefault(key, {}).setdefault(line[unit], []).append(value)
    return {key: {epoch: fmean(some) for epoch, some in epochs.items()}
            for key, epochs in values.items()}


def read_runs(args: argparse.Namespace) -> tuple[dict[str, dict[str, dict[int, float]]], str]:
    """Every run's quantities by epoch, or by iteration where a run has no epochs."""
    logs = {name: read_log(folder) for name, folder in zip(args.names, args.work_dirs)}
    unit = 'epoch' if all('epoch' in line for log in logs.values() for line in log) else 'iter'
    found = {}
    for name, log in logs.items():
        found[name] = by_epoch(log, unit, args.epochs)
        if not found[name]:
            raise ValueError(f'--epochs: the log of {name} holds nothing from {args.epochs[0]} to '
                             f'{args.epochs[1]}, only {unit} {log[0][unit]} to {log[-1][unit]}.')
    return found, unit


def check_monitored(found: dict[str, dict]) -> list[str]:
    """What the runs did not log, in words; raises if they logged nothing of interest."""
    notes, missing_all = [], True
    for name, quantities in found.items():
        missing = [what for what in HOOKS if not any(key.startswith(what) for key in quantities)]
        missing_all &= len(missing) == len(HOOKS)
        notes += [f'{name} has logged no {what}: that is done by {HOOKS[what]}.'
                  for what in missing]
    if missing_all:
        raise ValueError(f'{", ".join(found)}: neither gradients of layers nor of the KL were '
                         f'logged. {ADVICE}')
    return notes


def write_tables(found: dict[str, dict], unit: str, out: Path) -> str:
    """Write the JSON, CSV and Markdown files; returns the Markdown."""
    means = {name: {key: fmean(epochs.values()) for key, epochs in quantities.items()}
             for name, quantities in found.items()}
    files.write_json(out / 'monitor.json', dict(unit=unit, runs=found, means=means))
    rows = [[name, key, epoch, f'{value:.6g}'] for name, quantities in found.items()
            for key, epochs in quantities.items() for epoch, value in epochs.items()]
    files.write_csv(out / 'monitor.csv', ['run', 'quantity', unit, 'value'], rows)
    text = markdown(means)
    files.write_text(out / 'monitor.md', text)
    return text


def markdown(means: dict[str, dict[str, float]]) -> str:
    """The means of the runs side by side, and how many times those of the first they are."""
    names = list(means)
    first, others = names[0], names[1:]
    keys = sorted(dict.fromkeys(key for values in means.values() for key in values),
                  key=lambda key: (key.startswith(LAYER), key in KEYS and KEYS.index(key)))
    lines = [['mean over the training', *names, *(f'{name} / {first}' for name in others)]]
    lines.append(['---', *['---:'] * (len(lines[0]) - 1)])
    for key in keys:
        values = [means[name].get(key) for name in names]
        ratios = [value / values[0] if value is not None and values[0] else None
                  for value in values[1:]]
        lines.append([key, *(_cell(value, '.3g') for value in values),
                      *(_cell(ratio, '.2f') for ratio in ratios)])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines) + '\n'


def _cell(value: float | None, digits: str) -> str:
    return '' if value is None else format(value, digits)


def draw(found: dict[str, dict], unit: str, span: Sequence[int] | None, out: Path) -> list[str]:
    """Draw what there is; returns the paths."""
    from mmips.visualization.monitor import MonitoredRun, draw_curves, draw_gradients
    shown = []
    for name, quantities in found.items():
        layers = {key.removeprefix(LAYER): fmean(epochs.values())
                  for key, epochs in quantities.items() if key.startswith(LAYER)}
        curves = {key: sorted(epochs.items()) for key, epochs in quantities.items()
                  if not key.startswith(LAYER)}
        shown.append(MonitoredRun(name, layers, curves))
    unit = 'iteration' if unit == 'iter' else unit
    paths = []
    if any(run.layers for run in shown):
        note = f'mean over {unit}s {span[0]} to {span[1]}' if span else 'mean over the training'
        paths.append(draw_gradients(shown, str(out / 'monitor_gradients.png'), note))
    for file, panels in dict(kd=KD_PANELS, losses=LOSS_PANELS).items():
        if any(key in run.curves for run in shown for keys in panels.values() for key in keys):
            paths.append(draw_curves(shown, panels, str(out / f'monitor_{file}.png'), unit,
                                     split=file == 'kd'))
    return paths


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Read, write and draw; returns every run's quantities by epoch."""
    args = parse_args(argv)
    found, unit = read_runs(args)
    notes = check_monitored(found)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    print(write_tables(found, unit, out))
    for line in [*draw(found, unit, args.epochs, out), *notes]:
        print(line)
    return found


if __name__ == '__main__':
    main()
