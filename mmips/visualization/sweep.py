# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pictures of a sweep: heat maps over two of its axes, and learning curves."""
import itertools
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmips.runs.sweep_file import Sweep

__all__ = ['common_points', 'draw_curves', 'draw_heatmaps', 'heatmap_values']

INK, FAINT, BEST = '#24292f', '#8c959f', '#e8710a'
# Inches: a square of a heat map, a panel's margins, the whole picture's.
_SQUARE, _GAP, _LEFT, _RIGHT, _TOP, _BOTTOM = 0.55, 0.42, 0.95, 1.15, 0.9, 0.6
_MAX_COLUMNS = 6
# So many curves can be told apart: ten colours, then dashes.
_MAX_CURVES = 12

_Results = Mapping[tuple[str, int], dict]


def heatmap_values(sweep: Sweep, results: _Results) -> dict[tuple[str, ...], np.ndarray]:
    """The metric on the first evaluated split, averaged over seeds, for each heat map.

    Args:
        sweep (Sweep): With ``heatmaps``.
        results (dict): Of each run that has ended, by the name of its cell and its seed.

    Returns:
        dict[tuple[str, ...], np.ndarray]: By the panels' names on ``panels``: float64 (number of
        y's values, number of x's values), NaN where nothing has ended.
    """
    x, y, panels = (sweep.heatmaps[key] for key in ('x', 'y', 'panels'))
    maps = {}
    for names in itertools.product(*(sweep.axes[axis] for axis in panels)):
        values = np.full((len(sweep.axes[y]), len(sweep.axes[x])), np.nan)
        there = False
        for cell in sweep.cells:
            if tuple(cell.axes.get(axis) for axis in panels) != names or not (
                    {x, y} <= set(cell.axes)):
                continue
            there = True
            done = [results[cell.name, seed] for seed in sweep.seeds
                    if 'failed' not in results.get((cell.name, seed), {'failed': ''})]
            if done:
                place = sweep.axes[y].index(cell.axes[y]), sweep.axes[x].index(cell.axes[x])
                values[place] = statistics.mean(
                    result[sweep.evaluate[0]][sweep.metric] for result in done)
        if there:
            maps[names] = values
    return maps


def draw_heatmaps(sweep: Sweep, results: _Results, path: str | Path, dpi: int = 130) -> bool:
    """Draw a heat map for each combination of ``panels``, all on one scale.

    With two axes in ``panels`` the first is down and the second across; the best is framed.

    Args:
        sweep (Sweep): With ``heatmaps``.
        results (dict): Of each run that has ended, by the name of its cell and its seed.
        path (str): PNG file to write.
        dpi (int): Pixels an inch. Defaults to 130.

    Returns:
        bool: False where nothing has ended yet, and nothing is drawn.
    """
    maps = heatmap_values(sweep, results)
    found = np.concatenate([values.ravel() for values in maps.values()]) if maps else np.array([])
    if not np.isfinite(found).any():
        return False
    low, high = float(np.nanmin(found)), float(np.nanmax(found))
    best = low if sweep.lower else high
    panels = sweep.heatmaps['panels']
    across = (len(sweep.axes[panels[-1]]) if len(panels) > 1 else len(maps))
    columns = min(across, _MAX_COLUMNS)
    rows = -(-len(maps) // columns)
    sizes = [_SQUARE * len(sweep.axes[sweep.heatmaps[key]]) for key in ('x', 'y')]
    right = _LEFT + columns * (sizes[0] + _GAP) - _GAP
    figure, width, height = _new_figure(max(4.5, right + _RIGHT),
                                        _TOP + rows * (sizes[1] + _GAP) - _GAP + _BOTTOM)
    figure.text(0.2 / width, 1 - 0.22 / height, sweep.title, color=INK, fontsize=11, va='top')
    for number, (names, values) in enumerate(maps.items()):
        row, column = divmod(number, columns)
        left = _LEFT + column * (sizes[0] + _GAP)
        bottom = height - _TOP - (row + 1) * (sizes[1] + _GAP) + _GAP
        axes = figure.add_axes((left / width, bottom / height, sizes[0] / width,
                                sizes[1] / height))
        image = _draw_map(axes, values, (low, high), best)
        _label_map(axes, sweep, names, column == 0, number + columns >= len(maps))
    bar = figure.add_axes(((right + 0.35) / width, _BOTTOM / height, 0.13 / width,
                           (height - _TOP - _BOTTOM) / height))
    figure.colorbar(image, bar)
    bar.tick_params(labelsize=8, colors=INK, length=2)
    bar.set_title(f'{sweep.metric}\n{"lower" if sweep.lower else "higher"} is better', fontsize=7,
                  color=FAINT, loc='left')
    _save(figure, path, dpi)
    return True


def _new_figure(width: float, height: float) -> tuple[Any, float, float]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    # No pyplot: it would choose a window system and keep every figure in memory.
    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)
    return figure, width, height


def _save(figure: Any, path: str | Path, dpi: int) -> None:
    figure.savefig(f'{path}.part', dpi=dpi, format='png')
    os.replace(f'{path}.part', path)


def _draw_map(axes: Any, values: np.ndarray, limits: tuple[float, float], best: float) -> Any:
    from matplotlib.patches import Rectangle
    low, high = limits
    # One value alone still needs a scale.
    high = high if high > low else low + 1
    image = axes.imshow(values, cmap='viridis', vmin=low, vmax=high, aspect='auto')
    axes.set_facecolor('#eef0f2')
    digits = 1 if max(abs(low), abs(high)) > 1.5 else 3
    for (y, x), value in np.ndenumerate(values):
        dark = np.isfinite(value) and (value - low) / (high - low) < 0.6
        axes.text(x, y, '–' if np.isnan(value) else f'{value:.{digits}f}', ha='center', va='center',
                  fontsize=8, color='white' if dark else INK)
        if value == best:
            axes.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False, edgecolor=BEST,
                                     linewidth=2))
    return image


def _label_map(axes: Any, sweep: Sweep, names: Sequence[str], first: bool, last: bool) -> None:
    x, y = sweep.heatmaps['x'], sweep.heatmaps['y']
    axes.set_title(', '.join(f'{axis} {name}' for axis, name in zip(sweep.heatmaps['panels'],
                                                                     names)),
                   fontsize=9, color=INK, pad=4)
    axes.set_xticks(range(len(sweep.axes[x])), sweep.axes[x] if last else [])
    axes.set_yticks(range(len(sweep.axes[y])), sweep.axes[y] if first else [])
    axes.tick_params(labelsize=8, colors=INK, length=0)
    axes.spines[:].set_visible(False)
    if last:
        axes.set_xlabel(x, fontsize=9, color=INK)
    if first:
        axes.set_ylabel(y, fontsize=9, color=INK)


def common_points(done: Sequence[Mapping]) -> tuple[list[int], list[list[float]]]:
    """Where every one of some runs was validated, and all their scores there.

    Args:
        done (list[dict]): Runs with ``images`` seen and ``scores``.

    Returns:
        tuple[list[int], list[list[float]]]: Numbers of images, and a score of each run at each.
    """
    curves = [dict(zip(run['images'], run['scores'])) for run in done]
    images = sorted(set.intersection(*map(set, curves)))
    return images, [[curve[x] for curve in curves] for x in images]


def draw_curves(sweep: Sweep, results: _Results, path: str | Path, dpi: int = 150) -> bool:
    """Draw validation scores over images seen: the mean, and a band from least to greatest.

    Of more than twelve cells the best twelve are named and coloured.

    Args:
        sweep (Sweep): Its cells, in the order of the legend.
        results (dict): Of each run that has ended, by the name of its cell and its seed.
        path (str): PNG file to write.
        dpi (int): Pixels an inch. Defaults to 150.

    Returns:
        bool: False where nothing has ended yet, and nothing is drawn.
    """
    done = {cell.name: [results[cell.name, seed] for seed in sweep.seeds
                        if 'failed' not in results.get((cell.name, seed), {'failed': ''})]
            for cell in sweep.cells}
    done = {name: found for name, found in done.items() if found}
    if not done:
        return False
    named = _best_cells(done, sweep.lower)
    note = '' if len(named) == len(done) else f'; grey: {len(done) - len(named)} worse ones'
    number = max(map(len, done.values()))
    legend = 0.35 + 0.2 * -(-len(named) // 2)
    figure, width, height = _new_figure(8, 4.65 + legend)
    axes = figure.add_axes((0.75 / width, (0.55 + legend) / height, (width - 1) / width,
                            3.6 / height))
    for name, found in done.items():
        _draw_curve(axes, name, found, named.index(name) if name in named else None)
    finals = [run['scores'][-1] for found in done.values() for run in found]
    axes.set_ylim(*_near_the_end(finals, sweep.lower))
    axes.set(xlabel='training images seen', ylabel=f'validation {sweep.metric}{_unit(finals)}')
    axes.xaxis.set_major_formatter(
        lambda value, _: f'{value / 1e6:g}M' if axes.get_xlim()[1] > 2e6 else f'{value / 1000:g}k')
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)
    figure.text(0.2 / width, 1 - 0.15 / height, sweep.title, color=INK, fontsize=11, va='top')
    # Below the axes, where many cells do not cover a curve.
    legend_title = f'mean of {number} seeds, band: all of them' if number > 1 else '1 seed'
    figure.legend(loc='lower center', frameon=False, ncols=2, fontsize='small',
                  title=legend_title + note, title_fontsize='small')
    _save(figure, path, dpi)
    return True


def _unit(scores: Sequence[float]) -> str:
    return ' %' if max(map(abs, scores)) > 1.5 else ''


def _best_cells(done: Mapping[str, Sequence[Mapping]], lower: bool) -> list[str]:
    """The cells that get a colour, in their order."""
    means = {name: statistics.mean(run['scores'][-1] for run in found)
             for name, found in done.items()}
    best = sorted(means, key=lambda name: means[name], reverse=not lower)[:_MAX_CURVES]
    return [name for name in done if name in best]


def _draw_curve(axes: Any, name: str, found: Sequence[Mapping], place: int | None) -> None:
    images, scores = common_points(found)
    means = [statistics.mean(some) for some in scores]
    if place is None:
        axes.plot(images, means, linewidth=0.8, color='#d0d7de', zorder=1)
        return
    finals = [run['scores'][-1] for run in found]
    unit = _unit(finals)
    line, = axes.plot(images, means, marker='o', markersize=3, linewidth=2, color=f'C{place % 10}',
                      linestyle='solid' if place < 10 else 'dashed',
                      label=f'{name}: {statistics.mean(finals):.{1 if unit else 3}f}{unit}')
    axes.fill_between(images, [min(some) for some in scores], [max(some) for some in scores],
                      color=line.get_color(), alpha=0.15, linewidth=0)


def _near_the_end(finals: Sequence[float], lower: bool) -> tuple[float, float]:
    """Limits of the scores: the race is decided at the end, and its start would press it flat."""
    least, most = min(finals), max(finals)
    small, top = (2.0, 100.0) if max(map(abs, finals)) > 1.5 else (0.02, 1.0)
    wide = 2.5 * (most - least) + small
    return (least - small, most + wide) if lower else (least - wide, min(top, most + small))
