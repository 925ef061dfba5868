# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""How far the confidence of checkpoints can be trusted: Table 10 of the IPS paper."""
import math
import re
import statistics
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mmips.errors import explained
from mmips.evaluation import predictions
from mmips.runs import files
from mmips.runs.tables import Table, to_markdown

#: Heading of each column, with its unit and which direction is better.
HEADINGS = dict(
    top1='top-1 % \u2191', top5='top-5 % \u2191', aurc='AURC x1000 \u2193',
    e_aurc='E-AURC x1000 \u2193', fpr95='FPR95 % \u2193', auroc='AUROC % \u2191',
    ece='ECE % \u2193', adaptive_ece='adaptive ECE % \u2193',
    classwise_ece='classwise ECE % \u2193', brier='Brier x100 \u2193', nll='NLL nats \u2193')
#: Of a risk-coverage curve, in the JSON file and the picture.
POINTS = 400


def evaluate_safety(request: predictions.Request) -> dict[str, dict]:
    """Do what ``eval_safety.py`` is asked for; returns for each name the metrics.

    Where a network gives no probabilities, those before it are written all the same.
    """
    found = request.predict(predictions.load_classifier_config(request, pictures=False))
    results: dict[str, dict] = {}
    try:
        for name, path in request.paths.items():
            with explained(f'{name} ({path})'):
                result = score(found[name].probs, found[name].labels, request.num_bins)
            results[name] = dict(checkpoint=path, **result)
            if request.save_probs:
                # The number tells names apart that differ in what no file name should hold.
                file = f'{len(results) - 1}_{re.sub(r"[^0-9A-Za-z.-]+", "_", name)}.npz'
                results[name]['probs'] = f'probs/{file}'
                Path(request.out, 'probs').mkdir(parents=True, exist_ok=True)
                with files.replacing(Path(request.out, 'probs', file), 'wb') as kept:
                    np.savez_compressed(kept, probs=found[name].probs, labels=found[name].labels)
    finally:
        if results:
            _write(results, request, len(found[request.names[0]].labels))
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
    steps = np.linspace(0, len(labels), min(POINTS, len(labels)) + 1).round().astype(int)
    shown = np.unique(steps)[1:] - 1
    return dict(metrics={**top, **found},
                bins=safety.reliability_bins(probs, labels, num_bins),
                curve=dict(coverage=coverage[shown], risk=risk[shown], best=best[shown]))


def group_scores(results: Mapping[str, dict], groups: Mapping[str, str]) -> dict[str, dict]:
    """Mean and standard deviation (of n - 1) of every metric over the checkpoints of a group."""
    metrics = pd.DataFrame({name: result['metrics'] for name, result in results.items()})
    return {group: dict(
        checkpoints=len(part), mean=part.agg(statistics.fmean).to_dict(),
        std={key: statistics.stdev(values) if len(values) > 1 and np.isfinite(values).all()
             else math.nan for key, values in part.items()})
        for group, part in metrics.T.groupby(groups, sort=False)}


def to_table(results: Mapping[str, dict], grouped: Mapping[str, dict]) -> Table:
    """Checkpoints below each other, then the groups, in Table 10's units."""
    keys = list(next(iter(results.values()))['metrics'])
    rows = [[name, *(_text(key, result['metrics'][key]) for key in keys)]
            for name, result in results.items()]
    rows += [[f'{name}, mean of {group["checkpoints"]}',
              *(_text(key, group['mean'][key], group['std'][key]) for key in keys)]
             for name, group in grouped.items()]
    return Table('', ['checkpoint', *(HEADINGS[key] for key in keys)], 1, rows,
                 bold={(number, 0) for number in range(len(results), len(rows))})


def _text(key: str, value: float, spread: float = math.nan) -> str:
    number = '\u2013' if math.isnan(value) else f'{value:.{3 if key == "nll" else 2}f}'
    return number if math.isnan(spread) else f'{number} \u00b1 {_text(key, spread)}'


def _number(value: float) -> str:
    return '' if math.isnan(value) else f'{value:.6g}'


def _write(results: Mapping[str, dict], request: predictions.Request, size: int) -> None:
    """Write tables and pictures of the checkpoints so far."""
    from mmips.visualization import safety
    groups = dict(zip(request.names, request.groups))
    grouped = group_scores(results, groups)
    rows = [{'checkpoint': name, **({'group': groups[name]} if groups else {}),
             **{key: _number(value) for key, value in result['metrics'].items()}}
            for name, result in results.items()]
    bins, curves, metrics = ({name: result[part] for name, result in results.items()}
                             for part in ('bins', 'curve', 'metrics'))
    about = f'{request.title}, {size} {request.split} images'
    if grouped:
        predictions.write(request.out, 'safety_groups', rows=[
            dict(group=name, metric=key, mean=_number(mean), std=_number(group['std'][key]),
                 checkpoints=group['checkpoints'])
            for name, group in grouped.items() for key, mean in group['mean'].items()])
    predictions.write(
        request.out, 'safety',
        to_markdown('Accuracy and safety', [to_table(results, grouped)]), rows,
        dict(config=request.config, split=request.split, images=size, num_bins=request.num_bins,
             groups=grouped, checkpoints=results),
        reliability=safety.draw_reliability(bins, metrics, f'Reliability, {about}'),
        risk_coverage=safety.draw_risk_coverage(curves, metrics, groups,
                                                f'Risk and coverage, {about}'))
