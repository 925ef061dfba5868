# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pictures of what the training monitors have logged: Figures 4 and 5 of the IPS paper."""
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mmips.visualization import style

# Of one run: all pairs, the swapped ones, the others.
_SPLIT = {'': ('solid', ''), '_swapped': ((0, (5, 2)), ', swapped pairs'),
          '_raw': ((0, (1.5, 1.5)), ', raw pairs')}
# Names of layers that fit below a picture.
_MOST_NAMES = 110


def draw_gradients(layers: pd.DataFrame, note: str = '') -> Any:
    """Draw the mean absolute gradient of each convolution, a line a run: Figure 4.

    ``layers`` has a row a layer, in the order of the forward pass, and a column a run.
    """
    number = len(layers)
    figure = style.new_figure(min(max(7.0, 2.0 + 0.27 * number), 16.0), 4.6,
                              'Gradient of each convolution', [note])
    axes = figure.add_subplot()
    for place, run in enumerate(layers.dropna(axis=1, how='all')):
        values = style.drawable(layers[run].dropna())
        # A layer without any gradient, which a logarithm cannot show, is a gap in the line.
        axes.plot(layers.index.get_indexer(values.index), values.where(values > 0), label=run,
                  marker='o', markersize=3.5, linewidth=1.2, **style.line_style(place))
    style.tidy(axes, ylabel='mean |gradient|')
    axes.set(yscale='log', xlim=(-0.6, number - 0.4))
    step = -(-number // _MOST_NAMES)
    # Without the parts of the dotted names that are the same in all.
    same = len(osp.commonprefix([name.split('.')[:-1] for name in layers.index]))
    names = [style.plain('.'.join(name.split('.')[same:])) for name in layers.index]
    axes.set_xticks(range(0, number, step), names[::step], rotation=90,
                    fontsize=7.5 if number < _MOST_NAMES / 2 else 6.5)
    style.legend(axes)
    return figure


def draw_curves(curves: pd.DataFrame, panels: Mapping[str, Sequence[str]], unit: str = 'epoch',
                split: bool = False) -> Any:
    """Draw quantities over the training, a panel for each and a line a run: Figure 5.

    Of the quantities of a panel a run's first that it has is drawn, with ``split`` also its swapped
    and raw pairs.
    """
    shown = {title: keys for title, keys in panels.items() if curves['quantity'].isin(keys).any()}
    figure = style.new_figure(0.4 + 4.4 * len(shown), 4.2)
    handles: dict[str, Any] = {}
    row = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (title, keys) in zip(row, shown.items()):
        for number, (run, frame) in enumerate(curves.groupby('run', sort=False)):
            points = {key: part for key, part in frame.groupby('quantity')}
            key = next((key for key in keys if key in points), None)
            is_split = split and f'{key}_swapped' in points and f'{key}_raw' in points
            for suffix in _SPLIT if is_split else ('',) if key else ():
                dashes, label = _SPLIT[suffix]
                look = {**style.line_style(number), **(dict(linestyle=dashes) if is_split else {})}
                part = points[f'{key}{suffix}']
                handles[f'{run}{label}'], = axes.plot(
                    part[unit], style.drawable(part['value']), linewidth=0.9 if suffix else 1.6,
                    # A single epoch would be a line without length.
                    marker='o' if len(part) == 1 else None, markersize=4, **look)
        style.tidy(axes, 'iteration' if unit == 'iter' else unit, title=title)
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
    style.legend(figure, handles=list(handles.values()), labels=list(handles),
                 ncols=min(len(handles), 3 if len(shown) > 1 else 2))
    return figure
