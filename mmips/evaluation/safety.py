# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""How far the confidence of checkpoints can be trusted: Table 10 of the IPS paper.

The metrics and their units are those of :mod:`mmips.functional.safety`.
"""
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.evaluation.predictions import Request
from mmips.runs import files
from mmips.runs.tables import Table, to_markdown

__all__ = ['evaluate_safety', 'group_scores', 'score', 'to_table']

#: Heading of each column, with its unit and which direction is better.
HEADINGS = dict(
    top1='top-1 % \u2191', top5='top-5 % \u2191', aurc='AURC x1000 \u2193',
    e_aurc='E-AURC x1000 \u2193', fpr95='FPR95 % \u2193', auroc='AUROC % \u2191',
    ece='ECE % \u2193', adaptive_ece='adaptive ECE % \u2193',
    classwise_ece='classwise ECE % \u2193', brier='Brier x100 \u2193', nll='NLL nats \u2193')
#: Of a risk-coverage curve, in the JSON file and the picture.
POINTS = 400


def evaluate_safety(request: Request, groups: Sequence[str] = (), num_bins: int = 15,
                    save_probs: bool = False) -> dict[str, dict]:
    """Score checkpoints and write ``safety.md``, ``.csv``, ``.json`` and both pictures.

    Args:
        request (Request): Checkpoints, images and the folder for the results.
        groups (Sequence[str]): A group for each checkpoint, such as its method: adds
            ``safety_groups.csv``, mean and standard deviation of each. Defaults to none.
        num_bins (int): Bins of the calibration errors. Defaults to 15.
        save_probs (bool): Also keep the probabilities in ``probs/*.npz``. Defaults to False.

    Returns:
        dict[str, dict]: For each name the metrics.

    Raises:
        UserError: If a network gives no probabilities. Those before it are written.
    """
    found = request.predict(predictions.load_classifier_config(request))
    folder = Path(request.out)
    folder.mkdir(parents=True, exist_ok=True)
    by_name = dict(zip(request.names, groups))
    size = len(next(iter(found.values())).labels)
    setup = dict(config=request.config, split=request.split, images=size, num_bins=num_bins)
    results: dict[str, dict] = {}
    for name, path in request.paths.items():
        probs, labels = found[name].probs, found[name].labels
        try:
            result: dict = dict(checkpoint=path, **score(probs, labels, num_bins))
        except ValueError as error:
            raise UserError(f'{name} ({path}): {error}') from error
        if save_probs:
            # The number tells names apart that differ in what no file name should hold.
            result['probs'] = (f'probs/{len(results)}_'
                               f'{re.sub(r"[^0-9A-Za-z.-]+", "_", name)}.npz')
            (folder / 'probs').mkdir(exist_ok=True)
            with files.replacing(folder / result['probs'], 'wb') as file:
                np.savez_compressed(file, probs=probs, labels=labels)
        results[name] = result
        # After each one: a later failure loses nothing.
        text = _write(results, by_name, setup, folder)
    _draw(results, by_name, f'{request.title}, {size} {request.split} images', folder)
    print(f'{text}\n{folder / "safety.md"}, .csv, .json, reliability.png, risk_coverage.png: '
          f'{size} images')
    return {name: result['metrics'] for name, result in results.items()}


def score(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> dict[str, dict]:
    """All metrics of one checkpoint's predictions, its bins and its thinned curve."""
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
    return dict(metrics={**top, **found},
                bins=safety.reliability_bins(probs, labels, num_bins),
                curve=dict(coverage=coverage[shown], risk=risk[shown], best=best[shown]))


def group_scores(results: Mapping[str, dict], groups: Mapping[str, str]) -> dict[str, dict]:
    """Mean and standard deviation (of n - 1) of every metric over the checkpoints of a group."""
    found: dict[str, dict] = {}
    for group in dict.fromkeys(groups.values()):
        members = [result['metrics'] for name, result in results.items() if groups[name] == group]
        if members:
            columns = {key: [member[key] for member in members] for key in members[0]}
            found[group] = dict(
                checkpoints=len(members),
                mean={key: statistics.fmean(values) for key, values in columns.items()},
                std={key: statistics.stdev(values) if len(values) > 1 and np.isfinite(values).all()
                     else math.nan for key, values in columns.items()})
    return found


def to_table(results: Mapping[str, dict], grouped: Mapping[str, dict]) -> Table:
    """Checkpoints below each other, then the groups, in Table 10's units."""
    keys = list(next(iter(results.values()))['metrics'])
    rows = [[name, *(_number(key, result['metrics'][key]) for key in keys)]
            for name, result in results.items()]
    for name, group in grouped.items():
        rows.append([f'{name}, mean of {group["checkpoints"]}', *(
            _number(key, group['mean'][key]) + (
                '' if math.isnan(group['std'][key]) else
                f' \u00b1 {_number(key, group["std"][key])}') for key in keys)])
    bold = {(number, 0) for number in range(len(results), len(rows))}
    return Table('', ['checkpoint', *(HEADINGS[key] for key in keys)], 1, rows, bold)


def _number(key: str, value: float) -> str:
    return '\u2013' if math.isnan(value) else f'{value:.{3 if key == "nll" else 2}f}'


def _write(results: Mapping[str, dict], groups: Mapping[str, str], setup: dict,
           folder: Path) -> str:
    """Write the tables and the JSON file of the checkpoints so far; returns the table."""
    keys = list(next(iter(results.values()))['metrics'])
    grouped = group_scores(results, groups)
    text = to_markdown('Accuracy and safety', [to_table(results, grouped)])
    files.write_text(folder / 'safety.md', text)
    files.write_csv(folder / 'safety.csv', ['checkpoint', *(['group'] if groups else []), *keys], (
        [name, *([groups[name]] if groups else []),
         *_numbers(result['metrics'][key] for key in keys)] for name, result in results.items()))
    if grouped:
        files.write_csv(folder / 'safety_groups.csv',
                        ['group', 'metric', 'mean', 'std', 'checkpoints'],
                        ([name, key, *_numbers((group['mean'][key], group['std'][key])),
                          group['checkpoints']] for name, group in grouped.items() for key in keys))
    files.write_json(folder / 'safety.json',
                     files.plain(dict(**setup, groups=grouped, checkpoints=results)))
    return text


def _numbers(values: Iterable[float]) -> list[str]:
    return ['' if math.isnan(value) else f'{value:.6g}' for value in values]


def _draw(results: Mapping[str, dict], groups: Mapping[str, str], about: str,
          folder: Path) -> None:
    from mmips.visualization import safety
    bins = {name: result['bins'] for name, result in results.items()}
    curves = {name: result['curve'] for name, result in results.items()}
    ece = {name: result['metrics']['ece'] for name, result in results.items()}
    aurc = {name: result['metrics']['aurc'] for name, result in results.items()}
    files.write_picture(folder / 'reliability.png',
                        safety.draw_reliability(bins, ece, f'Reliability, {about}'))
    files.write_picture(folder / 'risk_coverage.png', safety.draw_risk_coverage(
        curves, aurc, groups, f'Risk and coverage, {about}'))
