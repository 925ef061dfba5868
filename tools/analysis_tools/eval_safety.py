# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Accuracy and safety metrics of several checkpoints of one config: Table 10 of the IPS paper.

::

    python tools/analysis_tools/eval_safety.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names hard-0 hard-1 ips-0 ips-1 --groups hard hard ips ips --out DIR

Writes ``safety.md``, ``safety.csv`` (and of groups ``safety_groups.csv``), ``safety.json`` with
all that the pictures show, ``reliability.png`` and ``risk_coverage.png``. The metrics and
their units are those of ``mmips.functional.safety``, explained in docs/safety.md.
"""
import argparse
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation import predictions
from mmips.runs import cli, files, loaders

#: Heading of each column, with its unit and which direction is better.
HEADINGS = dict(
    top1='top-1 % \u2191', top5='top-5 % \u2191', aurc='AURC x1000 \u2193',
    e_aurc='E-AURC x1000 \u2193', fpr95='FPR95 % \u2193', auroc='AUROC % \u2191',
    ece='ECE % \u2193', adaptive_ece='adaptive ECE % \u2193',
    classwise_ece='classwise ECE % \u2193', brier='Brier x100 \u2193', nll='NLL nats \u2193')
# Of a risk-coverage curve, in the JSON file and the picture.
POINTS = 400


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Accuracy and safety metrics of checkpoints')
    predictions.add_checkpoint_options(parser)
    parser.add_argument('--groups', nargs='+', metavar='GROUP',
                        help='a group for each checkpoint, such as its method: adds mean and '
                        'standard deviation of each group')
    parser.add_argument('--num-bins', type=int, default=15, metavar='M',
                        help='bins of the calibration errors (default: 15)')
    parser.add_argument('--save-probs', action='store_true',
                        help='keep the probabilities of all images, DIR/probs/*.npz')
    args = parser.parse_args(argv)
    predictions.check_names(parser, args)
    if args.groups and len(args.groups) != len(args.checkpoints):
        parser.error(f'--groups needs a group for each of the {len(args.checkpoints)} '
                     f'checkpoints, got {len(args.groups)}: {args.groups}')
    if args.num_bins < 1:
        parser.error(f'--num-bins must be at least 1, got {args.num_bins}')
    return args


def score(probs: Any, labels: Any, num_bins: int) -> dict[str, Any]:
    """All metrics of one checkpoint's predictions, its bins and its thinned curve."""
    import numpy as np
    from mmpretrain.evaluation import Accuracy

    from mmips.functional import safety
    # First: they refuse what is no probability.
    found = safety.safety_scores(probs, labels, num_bins=num_bins)
    # Of fewer than five classes there is no top-5 accuracy.
    ranks = [rank for rank in (1, 5) if rank <= probs.shape[1]]
    accuracies = Accuracy.calculate(probs, labels, topk=ranks)
    top = {f'top{rank}': float(values[0]) for rank, values in zip(ranks, accuracies)}
    coverage, risk = safety.risk_coverage_curve(probs, labels)
    best = safety.risk_coverage_curve(probs, labels, best=True)[1]
    # Equal steps of the coverage, all samples last.
    shown = np.unique(np.linspace(0, len(labels), min(POINTS, len(labels)) + 1).round())[1:]
    shown = shown.astype(int) - 1
    return dict(
        metrics={**top, **found},
        bins=safety.reliability_bins(probs, labels, num_bins),
        curve=dict(coverage=coverage[shown], risk=risk[shown], best=best[shown]))


def group_scores(results: Mapping[str, dict], groups: Mapping[str, str]) -> dict[str, dict]:
    """Mean and standard deviation (of n - 1) of every metric over the checkpoints of a group."""
    found: dict[str, dict] = {}
    for group in dict.fromkeys(groups[name] for name in results):
        members = [results[name]['metrics'] for name in results if groups[name] == group]
        columns = {key: [member[key] for member in members] for key in members[0]}
        found[group] = dict(
            checkpoints=len(members),
            mean={key: statistics.fmean(values) for key, values in columns.items()},
            std={key: _deviation(values) for key, values in columns.items()})
    return found


def _deviation(values: Sequence[float]) -> float:
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return math.nan
    return statistics.stdev(values)


def table(results: Mapping[str, dict], groups: Mapping[str, dict]) -> str:
    """A Markdown table: checkpoints below each other, then the groups, in Table 10's units."""
    keys = list(next(iter(results.values()))['metrics'])
    lines = ['| checkpoint | ' + ' | '.join(HEADINGS[key] for key in keys) + ' |',
             '|---|' + '---:|' * len(keys)]
    for name, result in results.items():
        lines.append(_row(name, [_number(key, result['metrics'][key]) for key in keys]))
    for name, group in groups.items():
        cells = [_number(key, group['mean'][key]) + (
            '' if math.isnan(group['std'][key]) else f' \u00b1 {_number(key, group["std"][key])}')
            for key in keys]
        lines.append(_row(f'**{name}**, mean of {group["checkpoints"]}', cells))
    return '\n'.join(lines) + '\n'


def _row(name: str, cells: Iterable[str]) -> str:
    return '| ' + ' | '.join([name.replace('|', '\\|'), *cells]) + ' |'


def _number(key: str, value: float) -> str:
    return '\u2013' if math.isnan(value) else f'{value:.{3 if key == "nll" else 2}f}'


def write(results: Mapping[str, dict], groups: Mapping[str, str], setup: dict,
          folder: Path) -> str:
    """Write the tables and the JSON file of the checkpoints so far; returns the table."""
    keys = list(next(iter(results.values()))['metrics'])
    grouped = group_scores(results, groups) if groups else {}
    text = table(results, grouped)
    files.write_text(folder / 'safety.md', text)
    files.write_csv(folder / 'safety.csv', ['checkpoint', *(['group'] if groups else []), *keys], (
        [name, *([groups[name]] if groups else []),
         *(_cell(result['metrics'][key]) for key in keys)] for name, result in results.items()))
    if grouped:
        files.write_csv(
            folder / 'safety_groups.csv', ['group', 'metric', 'mean', 'std', 'checkpoints'],
            ([name, key, *(_cell(group[what][key]) for what in ('mean', 'std')),
              group['checkpoints']] for name, group in grouped.items() for key in keys))
    files.write_json(folder / 'safety.json', files.plain(dict(
        **setup, groups=grouped,
        checkpoints={name: {**result, 'bins': asdict(result['bins'])}
                     for name, result in results.items()})))
    return text


def _cell(value: float) -> str:
    return '' if math.isnan(value) else f'{value:.6g}'


def save_probs(folder: Path, number: int, name: str, **arrays: Any) -> str:
    """Keep predictions in ``probs/<number>_<name>.npz``; returns the path below the folder."""
    import numpy as np
    # The number tells names apart that differ in what no file name should hold.
    path = folder / 'probs' / f'{number}_{re.sub(r"[^0-9A-Za-z.-]+", "_", name)}.npz'
    path.parent.mkdir(exist_ok=True)
    with files.replacing(path, 'wb') as file:
        np.savez_compressed(file, **arrays)
    return str(path.relative_to(folder))


def draw(results: Mapping[str, dict], groups: Mapping[str, str], what: str,
         folder: Path) -> list[str]:
    """Draw both pictures; returns their paths."""
    from mmips.visualization.safety import (
        RiskCoverage,
        draw_reliability,
        draw_risk_coverage,
    )
    metrics = {name: result['metrics'] for name, result in results.items()}
    curves = {name: RiskCoverage(**result['curve'], aurc=metrics[name]['aurc'],
                                 group=groups.get(name, '')) for name, result in results.items()}
    return [draw_reliability({name: result['bins'] for name, result in results.items()},
                             {name: values['ece'] for name, values in metrics.items()},
                             str(folder / 'reliability.png'), f'Reliability, {what}'),
            draw_risk_coverage(curves, str(folder / 'risk_coverage.png'),
                               f'Risk and coverage, {what}')]


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> dict[str, dict]:
    """Evaluate, and return the metrics by name."""
    args = parse_args(argv)
    cfg = predictions.load_classifier_config(args)
    model = predictions.build_model(cfg, args.device)
    loader = loaders.build_loader(cfg, args.split, args.max_images)
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    groups = dict(zip(args.names, args.groups or ()))
    size = len(loader.dataset)
    setup = dict(config=args.config, split=args.split, images=size, num_bins=args.num_bins)
    results: dict[str, dict] = {}
    text = ''
    for name in predictions.each_checkpoint(model, args.checkpoints, args.names):
        number = len(results)
        probs, labels = predictions.predict_probs(model, loader, name)
        try:
            result = score(probs, labels, args.num_bins)
        except ValueError as error:
            raise ValueError(f'{name} ({args.checkpoints[number]}): {error}') from error
        result = dict(checkpoint=args.checkpoints[number], **result)
        if args.save_probs:
            result['probs'] = save_probs(folder, number, name, probs=probs, labels=labels)
        results[name] = result
        # After each one: a later failure loses nothing.
        text = write(results, groups, setup, folder)
    print(text)
    what = f'{Path(args.config).stem}, {size} {args.split} images'
    print('\n'.join([*draw(results, groups, what, folder),
                     f'{folder / "safety.md"}, .csv, .json: {size} images']))
    return {name: result['metrics'] for name, result in results.items()}


if __name__ == '__main__':
    main()
