# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pictures of how far confidences can be trusted: reliability and risk-coverage."""
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmips.visualization import style
from mmips.visualization.style import BLUE, DASHES, FAINT, INK, ORANGE, shorten, tidy

_MAX_COLUMNS = 4


def draw_reliability(bins: Mapping[str, Mapping[str, np.ndarray]], scores: Mapping[str, Mapping],
                     title: str = 'Reliability') -> Any:
    """Draw the accuracy in each bin of the confidence, and below it the share of the samples.

    Hatched is the gap to the mean confidence there. By the checkpoints' names, ``bins`` are what
    ``mmips.functional.safety.reliability_bins`` gives, and ``scores`` have ``ece`` in percent.
    """
    from matplotlib import lines, patches
    rows = -(-len(bins) // _MAX_COLUMNS)
    columns = -(-len(bins) // rows)
    figure = style.new_figure(max(2.9 * columns + 0.4, 6.5), 4.3 * rows + 0.7, title)
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[3.4, 1] * rows)
    panels = np.stack([grid[::2].ravel(), grid[1::2].ravel()], axis=1)
    for (upper, lower), (name, found) in zip(panels, bins.items()):
        _draw_bars(upper, found)
        upper.set_title(f'{shorten(name)}\nECE {scores[name]["ece"]:.2f} %', fontsize=9.5,
                        color=INK)
        _draw_histogram(lower, found)
    for axes in panels[len(bins):].flat:
        axes.set_axis_off()
    style.legend(figure, ncols=4, handles=[
        patches.Patch(facecolor=BLUE, label='accuracy'),
        *(patches.Patch(facecolor='none', edgecolor=colour, hatch='////', label=label)
          for colour, label in ((ORANGE, 'too sure'), (BLUE, 'not sure enough'))),
        lines.Line2D([], [], color=INK, linewidth=1.6, label='mean confidence')])
    return figure


def _draw_bars(axes: Any, bins: Mapping[str, np.ndarray]) -> None:
    left, widths = bins['edges'][:-1], np.diff(bins['edges'])
    accuracy, confidence = np.nan_to_num(bins['accuracy']), np.nan_to_num(bins['confidence'])
    lower, gaps = np.minimum(accuracy, confidence), np.abs(accuracy - confidence)
    axes.bar(left, lower, widths, align='edge', color=BLUE, edgecolor='white', linewidth=0.6)
    for chosen, colour in ((confidence > accuracy, ORANGE), (confidence < accuracy, BLUE)):
        axes.bar(left[chosen], gaps[chosen], widths[chosen], lower[chosen], align='edge',
                 facecolor='none', edgecolor=colour, hatch='////', linewidth=0.8)
    axes.plot((0, 1), (0, 1), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    tidy(axes, ylabel='accuracy')
    axes.set(xlim=(0, 1), ylim=(0, 1), xticklabels=[])


def _draw_histogram(axes: Any, bins: Mapping[str, np.ndarray]) -> None:
    shares = bins['counts'] / bins['counts'].sum()
    axes.bar(bins['edges'][:-1], shares, np.diff(bins['edges']), align='edge', color=FAINT,
             edgecolor='white', linewidth=0.6)
    filled = bins['counts'] > 0
    for key, colour in (('accuracy', BLUE), ('confidence', INK)):
        axes.axvline(shares[filled] @ bins[key][filled], color=colour, linewidth=1.6)
    top = shares.max()
    tidy(axes, 'confidence', 'samples')
    axes.set(xlim=(0, 1), ylim=(0, 1.08 * top), yticks=[top], yticklabels=[f'{100 * top:.0f} %'])


def draw_risk_coverage(curves: Mapping[str, Mapping[str, np.ndarray]],
                       scores: Mapping[str, Mapping], groups: Mapping[str, str] | None = None,
                       title: str = 'Risk and coverage') -> Any:
    """Draw the error rate among the most confident samples over the share that is kept.

    By the checkpoints' names, a curve has ``coverage``, ``risk`` and ``best``, the risk by the best
    order of the same errors, all from 0 to 1; ``scores`` have the area ``aurc``, x1000. Lines of
    one group share a colour and differ in dashes.
    """
    groups = groups or {name: name for name in curves}
    dashes = {group: itertools.cycle(DASHES) for group in groups.values()}
    figure = style.new_figure(9, max(4.4, 0.24 * len(curves) + 1.2), title)
    axes = figure.subplots()
    for name, curve in curves.items():
        colour = style.line_style(list(dashes).index(groups[name]))['color']
        axes.plot(curve['coverage'], 100 * curve['best'], color=colour, linewidth=0.6)
        axes.plot(curve['coverage'], 100 * curve['risk'], color=colour, linewidth=1.5,
                  linestyle=next(dashes[groups[name]]),
                  label=f'{shorten(name)}: AURC {scores[name]["aurc"]:.1f}')
    axes.plot([], [], color=FAINT, linewidth=0.6, label='thin: best order of the same errors')
    tidy(axes, 'coverage: share of images kept, the most confident first',
         'risk: error rate among them, %')
    axes.set(xlim=(0, 1), ylim=(0, None))
    # Beside the axes it hides no curve, however many there are.
    style.legend(axes)
    return figure
