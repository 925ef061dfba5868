# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A picture of predictive distributions: the largest probabilities of several networks."""
import os
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ['Bars', 'DistributionRow', 'draw_distributions', 'top_bars']

INK, FAINT = '#24292f', '#8c959f'
#: Colours of the bars, by what a class is to the true one.
COLOURS = dict(true='#1f6feb', near='#8fbcf7', other='#e8710a')
# Pictures below this size show their pixels; larger ones are smoothed to fit.
_SMALL = 96
# Inches: side of an image, of a panel the room for names, bars and numbers, height of a bar.
_IMAGE, _NAMES, _BARS, _NUMBERS, _BAR = 1.5, 1.35, 1.5, 0.75, 0.21
_MARGIN, _HEAD, _CAPTION, _GAP = 0.2, 1.05, 0.42, 0.2
_PANEL = _NAMES + _BARS + _NUMBERS


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


@dataclass(frozen=True)
class DistributionRow:
    """One row of the picture.

    Args:
        caption (str): Such as the true class.
        panels (Sequence[Bars]): The bars of each network.
        image (np.ndarray, optional): An image (H, W, 3), uint8 RGB. Defaults to None; all rows
            of a picture have one, or none.
    """
    caption: str
    panels: Sequence[Bars]
    image: np.ndarray | None = None


def top_bars(probs: np.ndarray, number: int, true: int, near: Sequence[int],
             classes: Sequence[str], note: str = '') -> Bars:
    """The largest probabilities of a distribution.

    Args:
        probs (np.ndarray): Probabilities (K,); the first of equal ones comes first.
        number (int): How many to show, at most K.
        true (int): The true class.
        near (Sequence[int]): Classes that are alike.
        classes (Sequence[str]): K class names.
        note (str): Printed above the bars. Defaults to ''.

    Returns:
        Bars: From the largest down.
    """
    order = np.argsort(-np.asarray(probs), kind='stable')[:number].tolist()
    return Bars([classes[k] for k in order], [float(probs[k]) for k in order],
                ['true' if k == true else 'near' if k in near else 'other' for k in order], note)


def draw_distributions(rows: Sequence[DistributionRow],
                       names: Sequence[str],
                       path: str,
                       title: str = '',
                       near: str = '',
                       dpi: int = 110) -> str:
    """Draw the bars of several networks side by side, as in Figures 2 and 8 of the IPS paper.

    The bars of a row share one scale.

    Args:
        rows (Sequence[DistributionRow]): At least one.
        names (Sequence[str]): A name for each network.
        path (str): PNG file to write; its folder is made.
        title (str): Defaults to ''.
        near (str): What the legend calls the classes that are alike. Defaults to '', there are
            none.
        dpi (int): Pixels an inch. Defaults to 110.

    Returns:
        str: ``path``.

    Raises:
        ValueError: For numbers that do not fit each other.
    """
    _check(rows, names)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    left = _MARGIN + (0 if rows[0].image is None else _IMAGE + _GAP)
    width = max(left + len(names) * (_PANEL + _GAP) - _GAP + _MARGIN, 6.5)
    heights = [_row_height(row) for row in rows]
    height = _HEAD + sum(heights) + _MARGIN
    # No pyplot: it would choose a window system and keep every figure in memory.
    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)
    _head(figure, title, near)
    for column, name in enumerate(names):
        figure.text((left + column * (_PANEL + _GAP) + _PANEL / 2) / width, 1 - 0.85 / height,
                    # A path's end says more than its beginning.
                    name if len(name) <= 36 else f'\u2026{name[-35:]}', ha='center',
                    va='center', fontsize=10, weight='bold', color=INK)
    top = height - _HEAD
    for row, own in zip(rows, heights):
        _draw_row(figure, row, left, top)
        top -= own
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    figure.savefig(f'{path}.part', dpi=dpi, format='png')
    os.replace(f'{path}.part', path)
    return path


def _check(rows: Sequence[DistributionRow], names: Sequence[str]) -> None:
    if not rows:
        raise ValueError('There is no distribution to draw.')
    for row in rows:
        if len(row.panels) != len(names):
            raise ValueError(f'{row.caption}: expected {len(names)} distributions, one for each '
                             f'of {list(names)}, got {len(row.panels)}.')
        for bars in row.panels:
            if not len(bars.classes) == len(bars.values) == len(bars.kinds):
                raise ValueError(f'{row.caption}: expected as many values and kinds as classes, '
                                 f'got {len(bars.values)}, {len(bars.kinds)} and '
                                 f'{len(bars.classes)}.')


def _row_height(row: DistributionRow) -> float:
    bars = max(len(panel.values) for panel in row.panels) * _BAR
    return _CAPTION + _GAP + max(bars, 0 if row.image is None else _IMAGE)


def _head(figure: Any, title: str, near: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(0.5, 1 - 0.25 / height, title, ha='center', va='center', fontsize=11,
                weight='bold', color=INK)
    kinds = [('true', 'true class'), *([('near', near)] if near else []),
             ('other', 'other classes')]
    for place, (kind, text) in enumerate(kinds):
        figure.text(0.5 + (1.7 * (place - len(kinds) / 2)) / width, 1 - 0.53 / height,
                    f'\u25a0 {text}', va='center', fontsize=9, color=COLOURS[kind])


def _draw_row(figure: Any, row: DistributionRow, left: float, top: float) -> None:
    """Draw one row below ``top``, in inches."""
    width, height = figure.get_size_inches()
    figure.text(_MARGIN / width, (top - 0.1) / height, row.caption, va='center', fontsize=10,
                weight='bold', color=INK)
    if row.image is not None:
        axes = figure.add_axes((_MARGIN / width, (top - _CAPTION - _IMAGE) / height,
                                _IMAGE / width, _IMAGE / height))
        small = max(row.image.shape[:2]) < _SMALL
        axes.imshow(row.image, interpolation='nearest' if small else 'antialiased')
        axes.set_axis_off()
    limit = max([value for bars in row.panels for value in bars.values] + [1e-6])
    for column, bars in enumerate(row.panels):
        x = left + column * (_PANEL + _GAP)
        tall = len(bars.values) * _BAR
        axes = figure.add_axes(((x + _NAMES) / width, (top - _CAPTION - tall) / height,
                                _BARS / width, tall / height))
        figure.text((x + _NAMES) / width, (top - 0.3) / height, bars.note, va='center',
                    fontsize=8, color=FAINT)
        _draw_bars(axes, bars, limit)


def _draw_bars(axes: Any, bars: Bars, limit: float) -> None:
    places = range(len(bars.values))
    axes.barh(places, bars.values, 0.75, color=[COLOURS[kind] for kind in bars.kinds])
    for place, value in enumerate(bars.values):
        axes.text(value + 0.04 * limit, place, f'{100 * value:.1f}\u2009%', va='center',
                  fontsize=8, color=INK)
    axes.set_xlim(0, limit)
    axes.set_ylim(len(bars.values) - 0.5, -0.5)
    axes.set_yticks(places, [_shorten(name, 18) for name in bars.classes], fontsize=8.5,
                    color=INK)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for label, kind in zip(axes.get_yticklabels(), bars.kinds):
        label.set_weight('bold' if kind == 'true' else 'normal')
    for side, spine in axes.spines.items():
        spine.set_visible(side == 'left')
        spine.set_color(FAINT)


def _shorten(name: str, length: int) -> str:
    return name if len(name) <= length else f'{name[:length - 1]}\u2026'
