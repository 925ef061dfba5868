# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Accuracy over the strength of attacks."""
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mmips.visualization import style


def draw_attacks(tables: Mapping[str, pd.DataFrame], title: str = 'Accuracy under attack',
                 unit: str = 'pixel space') -> Any:
    """Draw a panel for each attack's table of accuracies in percent, eps down, networks across.

    The values of eps are evenly spaced, as in a table: they span several powers of ten, and 0.
    """
    names = list(next(iter(tables.values())))
    radii = sorted({eps for table in tables.values() for eps in table.index})
    labels = {name: style.shorten(name, 46) for name in names}
    width = max(6., 4.2 * len(tables))
    # As many side by side as there is room for the longest: a letter is 0.08 inches wide.
    columns = max(1, min(len(names), int(width / (0.8 + 0.08 * max(map(len, labels.values()))))))
    figure = style.new_figure(width, 4.4 + 0.2 * -(-len(names) // columns), title)
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for axes, (attack, table) in zip(panels, tables.items()):
        for number, name in enumerate(names):
            points = table[name].dropna()
            axes.plot([radii.index(eps) for eps in points.index], points,
                      marker='o', markersize=3.5, linewidth=1.4, label=labels[name],
                      **style.line_style(number))
        axes.set_xticks(range(len(radii)), [f'{eps:.3g}' for eps in radii],
                        rotation=45 if len(radii) > 6 else 0)
        style.tidy(axes, f'eps ({unit}), evenly spaced', title=attack)
    panels[0].set(ylabel='top-1 accuracy, %', ylim=(0, None))
    style.legend(figure, handles=panels[0].lines, ncols=columns)
    return figure
