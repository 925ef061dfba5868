# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Accuracy over the strength of attacks."""
import os
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ['draw_attacks']

INK, FAINT = '#24292f', '#8c959f'
_COLOURS = ('#1f6feb', '#e8710a', '#2da44e', '#8250df', '#cf222e', '#0a7f8c', '#bf3989', '#7d6608')
_STYLES = ('-', '--', ':')
# Inches: a panel, the title above it, a line of the legend.
_PANEL, _TITLE, _LINE = (4.2, 3.4), 0.75, 0.24


def draw_attacks(curves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
                 path: str,
                 title: str = 'Accuracy under attack',
                 unit: str = 'pixel space') -> str:
    """Draw one panel for each attack, in it one line for each network.

    The values of eps are evenly spaced, as in a table: they span several powers of ten, and 0.

    Args:
        curves (Mapping): For each attack's title, by the networks' names, (eps, accuracy in
            percent) of every point.
        path (str): PNG file to write.
        title (str): Defaults to 'Accuracy under attack'.
        unit (str): Of eps, for the axis. Defaults to 'pixel space'.

    Returns:
        str: ``path``.

    Raises:
        ValueError: If there is no point.
    """
    names = list(dict.fromkeys(name for panel in curves.values() for name in panel))
    radii = sorted({eps for panel in curves.values() for line in panel.values() for eps, _ in line})
    if not radii:
        raise ValueError('There is no accuracy to draw.')
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    width = max(6., _PANEL[0] * len(curves))
    # As many side by side as there is room for the longest: a letter is 0.08 inches wide.
    columns = max(1, min(len(names), int(width / (0.8 + 0.08 * max(map(len, names))))))
    foot = 0.7 + _LINE * -(-len(names) // columns)
    height = _TITLE + _PANEL[1] + foot
    # No pyplot: it would choose a window system and keep every figure in memory.
    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(left=0.7 / width, right=1 - 0.2 / width, top=1 - _TITLE / height,
                           bottom=foot / height, wspace=0.08)
    for axes, (attack, lines) in zip(panels, curves.items()):
        _draw_panel(axes, attack, lines, names, radii, unit)
    panels[0].set_ylabel('top-1 accuracy (%)', color=INK)
    figure.text(0.5, 1 - 0.25 / height, title, ha='center', va='center', fontsize=12,
                weight='bold', color=INK)
    figure.legend(handles=_handles(names), loc='lower center', ncols=columns, frameon=False,
                  fontsize=9)
    figure.savefig(f'{path}.part', dpi=130, format='png')
    os.replace(f'{path}.part', path)
    return path


def _style(number: int) -> dict:
    """Colour first; where colours run out, the line's style."""
    turn, place = divmod(number, len(_COLOURS))
    return dict(color=_COLOURS[place], linestyle=_STYLES[turn % len(_STYLES)], marker='o',
                markersize=3.5, linewidth=1.4)


def _handles(names: Sequence[str]) -> list[Any]:
    from matplotlib.lines import Line2D
    return [Line2D([], [], label=name, **_style(number)) for number, name in enumerate(names)]


def _draw_panel(axes: Any, attack: str, lines: Mapping[str, Sequence[tuple[float, float]]],
                names: Sequence[str], radii: Sequence[float], unit: str) -> None:
    for name, line in lines.items():
        points = sorted(line)
        axes.plot([radii.index(eps) for eps, _ in points], [value for _, value in points],
                  **_style(names.index(name)))
    axes.set_title(attack, fontsize=11, color=INK)
    axes.set_xticks(range(len(radii)), [f'{eps:.3g}' for eps in radii],
                    rotation=45 if len(radii) > 6 else 0)
    axes.set_xlabel(f'eps ({unit}), evenly spaced', color=INK)
    axes.set_ylim(bottom=0)
    axes.grid(axis='y', color=FAINT, alpha=0.3, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=8.5)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
