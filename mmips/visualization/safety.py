# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pictures of how far confidences can be trusted: reliability and risk-coverage."""
import os
import os.path as osp
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmips.functional.safety import ReliabilityBins

__all__ = ['RiskCoverage', 'draw_reliability', 'draw_risk_coverage']

INK, FAINT, GRID = '#24292f', '#8c959f', '#e4e7eb'
BLUE, ORANGE = '#1f6feb', '#e8710a'
# Inches: a panel of the reliability diagram, and its margins.
_PANEL, _HISTOGRAM = 2.5, 0.75
_LEFT, _RIGHT, _GAP, _HEAD, _TOP, _BOTTOM = 0.65, 0.2, 0.5, 0.6, 0.5, 0.55
_MAX_COLUMNS, _MIN_WIDTH = 4, 6.5
# Of the lines of one group.
_STYLES = ('solid', (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1, 1.5, 1)))


@dataclass(frozen=True)
class RiskCoverage:
    """One line of the risk-coverage picture.

    Args:
        coverage (np.ndarray): Share of the samples kept, (P,), from 0 to 1, rising.
        risk (np.ndarray): Error rate among them, (P,), from 0 to 1.
        best (np.ndarray): The same for the best order of the same errors, (P,).
        aurc (float): Area under the curve, x1000.
        group (str): Lines of one group share a colour and differ in dashes. Defaults to '', a
            colour of its own.
    """
    coverage: np.ndarray
    risk: np.ndarray
    best: np.ndarray
    aurc: float
    group: str = ''


def draw_reliability(bins: Mapping[str, ReliabilityBins], errors: Mapping[str, float], path: str,
                     title: str = 'Reliability', dpi: int = 110) -> str:
    """Draw a reliability diagram for each checkpoint.

    A bar is the accuracy in a bin of the confidence. Its hatched part is the gap to the mean
    confidence there: orange above the accuracy, where the network is too sure, and blue below
    it, where it is not sure enough. Below is the share of the samples in each bin, with the
    accuracy and the mean confidence of all samples as lines.

    Args:
        bins (Mapping[str, ReliabilityBins]): By the checkpoints' names.
        errors (Mapping[str, float]): Expected calibration error in percent, by the same names.
        path (str): PNG file to write; its folder is made.
        title (str): Defaults to 'Reliability'.
        dpi (int): Pixels an inch. Defaults to 110.

    Returns:
        str: ``path``.

    Raises:
        ValueError: If there is no checkpoint, or the names differ.
    """
    if not bins or list(bins) != list(errors):
        raise ValueError(f'Expected bins and errors of the same checkpoints, got {list(bins)} and '
                         f'{list(errors)}.')
    rows = -(-len(bins) // _MAX_COLUMNS)
    columns = -(-len(bins) // rows)
    block = _TOP + _PANEL + _HISTOGRAM + _BOTTOM
    needed = _LEFT + columns * (_PANEL + _GAP) - _GAP + _RIGHT
    # A single panel stands in the middle, below a title that is wider.
    width = max(needed, _MIN_WIDTH)
    height = rows * block + _HEAD
    figure = _figure(width, height, title)
    for number, name in enumerate(bins):
        row, column = divmod(number, columns)
        left = (width - needed) / 2 + _LEFT + column * (_PANEL + _GAP)
        bottom = height - _HEAD - (row + 1) * block + _BOTTOM
        lower = figure.add_axes((left / width, bottom / height, _PANEL / width,
                                 (_HISTOGRAM - 0.08) / height))
        upper = figure.add_axes((left / width, (bottom + _HISTOGRAM) / height, _PANEL / width,
                                 _PANEL / height))
        _draw_bars(upper, bins[name])
        _draw_histogram(lower, bins[name])
        upper.set_title(f'{_shorten(name)}\nECE {errors[name]:.2f} %', fontsize=9.5, color=INK)
        if column == 0:
            upper.set_ylabel('accuracy', fontsize=9, color=INK)
            lower.set_ylabel('samples', fontsize=9, color=INK)
    _key(figure, width, height)
    return _save(figure, path, dpi)


def _draw_bars(axes: Any, bins: ReliabilityBins) -> None:
    left, widths = bins.edges[:-1], np.diff(bins.edges)
    accuracy, confidence = np.nan_to_num(bins.accuracy), np.nan_to_num(bins.confidence)
    lower, gaps = np.minimum(accuracy, confidence), np.abs(accuracy - confidence)
    axes.bar(left, lower, widths, align='edge', color=BLUE, edgecolor='white', linewidth=0.6)
    for chosen, colour in ((confidence > accuracy, ORANGE), (confidence < accuracy, BLUE)):
        axes.bar(left[chosen], gaps[chosen], widths[chosen], lower[chosen], align='edge',
                 facecolor='none', edgecolor=colour, hatch='////', linewidth=0.8)
    axes.plot((0, 1), (0, 1), color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_ylim(0, 1)
    axes.set_xticklabels([])
    _plain(axes)


def _draw_histogram(axes: Any, bins: ReliabilityBins) -> None:
    shares = bins.counts / bins.counts.sum()
    axes.bar(bins.edges[:-1], shares, np.diff(bins.edges), align='edge', color=FAINT,
             edgecolor='white', linewidth=0.6)
    filled = bins.counts > 0
    for values, colour in ((bins.accuracy, BLUE), (bins.confidence, INK)):
        axes.axvline(shares[filled] @ values[filled], color=colour, linewidth=1.6)
    top = shares.max()
    axes.set_ylim(0, 1.08 * top)
    axes.set_yticks([top], [f'{100 * top:.0f} %'])
    axes.set_xlabel('confidence', fontsize=9, color=INK)
    _plain(axes)


def _plain(axes: Any) -> None:
    axes.set_xlim(0, 1)
    axes.tick_params(labelsize=8, colors=INK, length=2.5)
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.6)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ('left', 'bottom'))
        spine.set_color(FAINT)


def _key(figure: Any, width: float, height: float) -> None:
    """One line below the title: what the colours are."""
    # Places in inches from the middle, so that a single narrow panel has room for all.
    for place, text, colour in ((-2.3, '\u25a0 accuracy', BLUE), (-1.4, '\u25a8 too sure', ORANGE),
                                (-0.5, '\u25a8 not sure enough', BLUE),
                                (0.95, '| mean confidence', INK)):
        figure.text(0.5 + place / width, 1 - 0.47 / height, text, va='center', fontsize=8.5,
                    color=colour)


def draw_risk_coverage(curves: Mapping[str, RiskCoverage], path: str,
                       title: str = 'Risk and coverage', dpi: int = 110) -> str:
    """Draw the error rate among the most confident samples over the share that is kept.

    The thin line of each colour is what the best order of the same errors would give.

    Args:
        curves (Mapping[str, RiskCoverage]): By the checkpoints' names.
        path (str): PNG file to write; its folder is made.
        title (str): Defaults to 'Risk and coverage'.
        dpi (int): Pixels an inch. Defaults to 110.

    Returns:
        str: ``path``.

    Raises:
        ValueError: If there is no checkpoint.
    """
    if not curves:
        raise ValueError('There is no curve to draw.')
    import matplotlib
    palette = matplotlib.color_sequences['tab10']
    groups = list(dict.fromkeys(curve.group or name for name, curve in curves.items()))
    # Legends beside the axes hide no curve, however many there are.
    width, height = 9.0, max(4.4, 0.24 * len(curves) + 1.2)
    figure = _figure(width, height, title)
    axes = figure.add_axes((0.65 / width, 0.5 / height, 5 / width, (height - 0.95) / height))
    seen: list[str] = []
    for name, curve in curves.items():
        group = curve.group or name
        colour = palette[groups.index(group) % len(palette)]
        axes.plot(curve.coverage, 100 * curve.best, color=colour, linewidth=0.6)
        axes.plot(curve.coverage, 100 * curve.risk, color=colour, linewidth=1.5,
                  linestyle=_STYLES[seen.count(group) % len(_STYLES)],
                  label=f'{_shorten(name)}: AURC {curve.aurc:.1f}')
        seen.append(group)
    axes.plot([], [], color=FAINT, linewidth=0.6, label='thin: best order of the same errors')
    axes.set_xlabel('coverage: share of images kept, the most confident first', fontsize=9,
                    color=INK)
    axes.set_ylabel('risk: error rate among them, %', fontsize=9, color=INK)
    axes.set_ylim(bottom=0)
    _plain(axes)
    axes.legend(fontsize=8.5, frameon=False, loc='upper left', bbox_to_anchor=(1.02, 1),
                borderaxespad=0, labelcolor=INK)
    return _save(figure, path, dpi)


def _shorten(name: str, length: int = 34) -> str:
    """A path's end says more than its beginning."""
    return name if len(name) <= length else f'\u2026{name[1 - length:]}'


def _figure(width: float, height: float, title: str) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    # No pyplot: it would choose a window system and keep every figure in memory.
    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)
    figure.text(0.5, 1 - 0.22 / height, title, ha='center', va='center', fontsize=11,
                weight='bold', color=INK)
    return figure


def _save(figure: Any, path: str, dpi: int) -> str:
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    figure.savefig(f'{path}.part', dpi=dpi, format='png')
    os.replace(f'{path}.part', path)
    return path
