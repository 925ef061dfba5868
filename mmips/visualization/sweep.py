# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pictures of a sweep: heat maps over two of its axes, and learning curves."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmips.names import one_line
from mmips.visualization import style

_MAX_COLUMNS = 6
# So many curves can be told apart.
_MAX_CURVES = 12


def draw_heatmaps(title: str, maps: Mapping[tuple[str, ...], Any], panels: Sequence[str],
                  metric: str, lower: bool = False) -> Any:
    """Draw DataFrames as heat maps by values of the panels' axes; None without any value.

    All have one scale; with two panels the first is down and the second across.
    """
    found = np.concatenate([frame.to_numpy().ravel() for frame in maps.values()] or [np.zeros(0)])
    found = found[np.isfinite(found)]
    if not len(found):
        return None
    low, high = float(found.min()), float(found.max())
    columns = min(len({names[-1:] for names in maps}), _MAX_COLUMNS)
    rows = -(-len(maps) // columns)
    height, width = next(iter(maps.values())).shape
    figure = style.new_figure(max(5, columns * (0.55 * width + 0.5) + 1.8),
                              rows * (0.5 * height + 0.45) + 0.9, title)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place in axes.flat[len(maps):]:
        place.set_visible(False)
    for place, (names, frame) in zip(axes.flat, maps.items()):
        image = _draw_map(place, frame, (low, high), low if lower else high)
        style.tidy(place, frame.columns.name, frame.index.name,
                   ', '.join(f'{axis} {name}' for axis, name in zip(panels, names)))
        place.grid(visible=False)
        place.tick_params(length=0)
        place.spines[:].set_visible(False)
        place.label_outer()
    bar = figure.colorbar(image, ax=axes, aspect=30, pad=0.02)
    bar.ax.tick_params(labelsize=8, colors=style.INK, length=2)
    bar.set_label(style.plain(f'{metric}, {"lower" if lower else "higher"} is better'), fontsize=8,
                  color=style.INK)
    return figure


def _draw_map(axes: Any, frame: Any, limits: tuple[float, float], best: float) -> Any:
    from matplotlib.patches import Rectangle
    image = axes.imshow(frame, cmap='viridis', vmin=limits[0], vmax=limits[1], aspect='auto')
    axes.set_facecolor('#eef0f2')
    digits = 1 if max(map(abs, limits)) > 1.5 else 3
    for (y, x), value in np.ndenumerate(frame.to_numpy()):
        axes.text(x, y, '–' if np.isnan(value) else f'{value:.{digits}f}', ha='center', va='center',
                  color='white' if np.isfinite(value) and image.norm(value) < 0.6 else style.INK,
                  fontsize=8)
        if value == best:
            axes.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False,
                                     edgecolor=style.ORANGE, linewidth=2))
    axes.set_xticks(range(frame.shape[1]), [style.plain(_label(name)) for name in frame.columns])
    axes.set_yticks(range(frame.shape[0]), [style.plain(_label(name)) for name in frame.index])
    return image


def _label(name: str, length: int = 26) -> str:
    return style.shorten(one_line(name), length, keep='start')


def draw_curves(title: str, runs: Any, metric: str, lower: bool = False) -> Any:
    """Draw validation scores over images seen: the mean, and a band from least to greatest.

    Of more than twelve recipes the best twelve are named and coloured. ``runs`` is a DataFrame of
    ``recipe``, ``seed``, ``images`` and ``score``; None where it has no rows.
    """
    runs = runs.assign(score=style.drawable(runs.score.astype(float)))
    if runs.score.isna().all():
        return None
    # A run that has diverged has no final score; pandas would take an earlier one.
    finals = runs.groupby(['recipe', 'seed'], sort=False).score.agg(lambda part: part.iloc[-1])
    means = finals.groupby('recipe', sort=False).agg(lambda part: part.mean(skipna=False))
    best = means.sort_values(ascending=lower, kind='stable').index[:_MAX_CURVES]
    named = [name for name in means.index if name in best]
    # Below the axes, where many recipes do not cover a curve.
    figure = style.new_figure(8, 4.9 + 0.2 * -(-len(named) // 2), title)
    axes = figure.subplots()
    unit, digits = (' %', 1) if finals.abs().max() > 1.5 else ('', 3)
    for name, found in runs.groupby('recipe', sort=False):
        # Where every run was validated.
        scores = found.pivot(index='images', columns='seed', values='score').dropna()
        look = dict(linewidth=0.8, color='#d0d7de', zorder=1)
        if name in named:
            look = dict(style.line_style(named.index(name)), marker='o', markersize=3, linewidth=2,
                        label=f'{_label(name, 60)}: {means[name]:.{digits}f}{unit}')
            axes.fill_between(scores.index, scores.min(axis=1), scores.max(axis=1),
                              color=look['color'], alpha=0.15, linewidth=0)
        axes.plot(scores.index, scores.mean(axis=1), **look)
    style.tidy(axes, 'training images seen', f'validation {metric}{unit}')
    if finals.notna().any():
        axes.set_ylim(*_near_the_end(finals.dropna(), lower))
    axes.xaxis.set_major_formatter(
        lambda value, _: f'{value / 1e6:g}M' if axes.get_xlim()[1] > 2e6 else f'{value / 1000:g}k')
    number, worse = finals.groupby('recipe').size().max(), len(means) - len(named)
    heading = f'mean of {number} seeds, band: all of them' if number > 1 else '1 seed'
    style.legend(figure, ncols=2, title_fontsize=8.5,
                 title=f'{heading}; grey: {worse} worse ones' if worse else heading)
    return figure


def _near_the_end(finals: Sequence[float], lower: bool) -> tuple[float, float]:
    """Limits of the scores: the race is decided at the end, and its start would press it flat."""
    least, most = min(finals), max(finals)
    small, top = (2.0, 100.0) if max(map(abs, finals)) > 1.5 else (0.02, 1.0)
    wide = 2.5 * (most - least) + small
    return (least - small, most + wide) if lower else (least - wide, min(top, most + small))
