# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A picture of predictive distributions: the largest probabilities of several networks."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .style import BLUE, FAINT, INK, ORANGE, legend, new_figure, shorten, show_image

__all__ = ['KINDS', 'Bars', 'draw_distributions', 'top_bars']

#: Colours of the bars, by what a class is to the true one.
KINDS = dict(true=BLUE, near='#8fbcf7', other=ORANGE)
# Inches: an image and a network side by side, a line of text, a bar.
_IMAGE, _PANEL, _LINE, _BAR = 1.6, 3.8, 0.3, 0.23


@dataclass(frozen=True)
class Bars:
    """The bars of one network.

    Args:
        classes (Sequence[str]): Names, from the top.
        values (Sequence[float]): Their probabilities, from 0 to 1.
        kinds (Sequence[str]): Of each 'true', 'near' (alike) or 'other'.
        note (str): Printed above the bars. Defaults to ''.
    """
    classes: Sequence[str]
    values: Sequence[float]
    kinds: Sequence[str]
    note: str = ''


def top_bars(probs: np.ndarray, number: int, true: int, near: Sequence[int],
             classes: Sequence[str], note: str = '') -> Bars:
    """The largest ``number`` of K probabilities, from the top; of equal ones the first is first."""
    order = np.argsort(-np.asarray(probs), kind='stable')[:number].tolist()
    return Bars([classes[k] for k in order], [float(probs[k]) for k in order],
                ['true' if k == true else 'near' if k in near else 'other' for k in order], note)


def draw_distributions(rows: Mapping[str, Sequence[Bars]], names: Sequence[str],
                       images: Sequence[np.ndarray] = (), title: str = '',
                       near: str = '') -> Any:
    """Draw the bars of several networks side by side, as in Figures 2 and 8 of the IPS paper.

    The bars of a row share one scale.

    Args:
        rows (Mapping[str, Sequence[Bars]]): By a row's caption the bars of each network.
        names (Sequence[str]): A name for each network.
        images (Sequence[np.ndarray]): An image (H, W, 3), uint8 RGB, for each row. Defaults to
            none.
        title (str): Defaults to ''.
        near (str): What the legend calls the classes that are alike. Defaults to '', there are
            none.

    Returns:
        Figure: Of matplotlib.
    """
    first = bool(len(images))
    sides = [max(max(len(bars.values) for bars in panels) * _BAR, _IMAGE * first)
             for panels in rows.values()]
    widths = [_IMAGE] * first + [_PANEL] * len(names)
    height = sum(sides) + 2 * _LINE * len(rows) + 1.3
    figure = new_figure(max(sum(widths) + 0.3, 6.5), height, title)
    # A line of names, and below it for each row a line for its caption and one of bars.
    grid = figure.add_gridspec(1 + 2 * len(rows), len(widths), width_ratios=widths, height_ratios=[
        _LINE, *(part for side in sides for part in (_LINE, side + _LINE))])
    for column, name in enumerate(names):
        _write(figure, grid[0, first + column], 0.5, shorten(name, 26), ha='center')
    for number, (caption, panels) in enumerate(rows.items()):
        _write(figure, grid[1 + 2 * number, :], 0, caption, ha='left')
        places = [figure.add_subplot(grid[2 + 2 * number, column])
                  for column in range(len(widths))]
        if first:
            show_image(places[0], images[number])
            places[0].set_axis_off()
        limit = max([value for bars in panels for value in bars.values] + [1e-6])
        for axes, bars in zip(places[first:], panels):
            _draw_bars(axes, bars, limit)
    legend(figure, handles=_key(near), loc='outside lower center', ncols=3)
    return figure


def _write(figure: Any, place: Any, x: float, text: str, **options: Any) -> None:
    axes = figure.add_subplot(place)
    axes.set_axis_off()
    axes.text(x, 0.5, text, fontsize=10, weight='bold', color=INK, va='center',
              transform=axes.transAxes, **options)


def _draw_bars(axes: Any, bars: Bars, limit: float) -> None:
    places = range(len(bars.values))
    axes.barh(places, bars.values, 0.75, color=[KINDS[kind] for kind in bars.kinds])
    for place, value in enumerate(bars.values):
        axes.text(value + 0.03 * limit, place, f'{100 * value:.1f}\u2009%', va='center',
                  fontsize=8, color=INK)
    # Room for the number beside the longest bar.
    axes.set(xlim=(0, 1.35 * limit), ylim=(len(bars.values) - 0.5, -0.5), xticks=[])
    axes.set_yticks(places, [shorten(name, 18, keep='start') for name in bars.classes],
                    fontsize=8.5, color=INK)
    axes.set_title(bars.note, fontsize=8, color=FAINT, loc='left')
    axes.tick_params(length=0)
    for label, kind in zip(axes.get_yticklabels(), bars.kinds):
        label.set_weight('bold' if kind == 'true' else 'normal')
    for side, spine in axes.spines.items():
        spine.set_visible(side == 'left')
        spine.set_color(FAINT)


def _key(near: str) -> list[Any]:
    from matplotlib.patches import Patch
    texts = dict(true='true class', near=near, other='other classes')
    return [Patch(color=KINDS[kind], label=text) for kind, text in texts.items() if text]
