# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A picture of predictive distributions: the largest probabilities of several networks."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mmips.visualization import style
from mmips.visualization.style import BLUE, FAINT, INK, ORANGE, shorten

#: Colours of the bars, by what a class is to the true one.
KINDS = dict(true=BLUE, near='#8fbcf7', other=ORANGE)
# Inches: an image and a network side by side, a line of text, a bar.
_IMAGE, _PANEL, _LINE, _BAR = 1.6, 3.8, 0.3, 0.23


def draw_distributions(rows: Mapping[str, Sequence[tuple[str, pd.DataFrame]]],
                       names: Sequence[str], images: Sequence[np.ndarray] = (), title: str = '',
                       near: str = '') -> Any:
    """Draw the bars of several networks side by side, as in Figures 2 and 8 of the IPS paper.

    A row has by its caption for each network a note and its bars from the top: ``class``, ``kind``
    (of ``KINDS``) and ``probability``. The legend calls the classes that are alike ``near``.
    """
    from matplotlib.patches import Patch
    first = bool(len(images))
    sides = [max(max(len(bars) for _, bars in panels) * _BAR, _IMAGE * first)
             for panels in rows.values()]
    widths = [_IMAGE] * first + [_PANEL] * len(names)
    height = sum(sides) + 2 * _LINE * len(rows) + 1.3
    figure = style.new_figure(max(sum(widths) + 0.3, 6.5), height, title)
    # A line of names, and below it for each row a line for its caption and one of bars.
    grid = figure.add_gridspec(1 + 2 * len(rows), len(widths), width_ratios=widths, height_ratios=[
        _LINE, *(part for side in sides for part in (_LINE, side + _LINE))])
    for column, name in enumerate(names, first):
        _write(figure, grid[0, column], 0.5, shorten(name, 26), ha='center')
    for number, (caption, panels) in enumerate(rows.items()):
        _write(figure, grid[1 + 2 * number, :], 0, caption, ha='left')
        places = [figure.add_subplot(grid[2 + 2 * number, column])
                  for column in range(len(widths))]
        if first:
            style.show_image(places[0], images[number])
            places[0].set_axis_off()
        limit = max([bars.probability.max() for _, bars in panels] + [1e-6])
        for axes, (note, bars) in zip(places[first:], panels):
            _draw_bars(axes, bars, limit)
            axes.set_title(note, fontsize=8, color=FAINT, loc='left')
    texts = dict(true='true class', near=near, other='other classes')
    style.legend(figure, ncols=3, handles=[Patch(color=KINDS[kind], label=text)
                                           for kind, text in texts.items() if text])
    return figure


def _write(figure: Any, place: Any, x: float, text: str, **options: Any) -> None:
    axes = figure.add_subplot(place)
    axes.set_axis_off()
    axes.text(x, 0.5, text, fontsize=10, weight='bold', color=INK, va='center',
              transform=axes.transAxes, **options)


def _draw_bars(axes: Any, bars: pd.DataFrame, limit: float) -> None:
    places = range(len(bars))
    drawn = axes.barh(places, bars.probability, 0.75, color=bars.kind.map(KINDS))
    axes.bar_label(drawn, [f'{100 * value:.1f}\u2009%' for value in bars.probability], fontsize=8,
                   color=INK, padding=3)
    # Room for the number beside the longest bar.
    axes.set(xlim=(0, 1.35 * limit), ylim=(len(bars) - 0.5, -0.5), xticks=[])
    axes.set_yticks(places, [shorten(name, 18, keep='start') for name in bars['class']],
                    fontsize=8.5, color=INK)
    axes.tick_params(length=0)
    for label, kind in zip(axes.get_yticklabels(), bars.kind):
        label.set_weight('bold' if kind == 'true' else 'normal')
    axes.spines[['top', 'right', 'bottom']].set_visible(False)
    axes.spines['left'].set_color(FAINT)
