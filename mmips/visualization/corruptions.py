# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pictures of accuracy under corruptions, and of the corruptions themselves."""
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmips.visualization import style


def draw_accuracies(scores: Any, note: str = '') -> Any:
    """Draw the accuracy for each corruption, the networks' bars side by side.

    A bar is the mean over the severities and the thin line on it their range. The scores are those
    of :mod:`mmips.evaluation.corruptions`.
    """
    groups = scores.groupby(level=0, sort=False)
    means, low, high = groups.mean(), groups.min(), groups.max()
    means.loc['mean'] = means.iloc[1:].mean()
    # The clean images and the mean stand apart from the corruptions.
    places = np.arange(len(means)) + 0.4 * np.array([0, *[1] * (len(means) - 2), 2])
    figure = style.new_figure(max(0.26 * means.size + 0.3 * len(means) + 1.2, 9), 5.2,
                              'Accuracy under corruptions', [note])
    axes = figure.subplots()
    bar = 0.8 / len(scores.columns)
    for number, name in enumerate(scores):
        middles = places + (number + 0.5) * bar - 0.4
        axes.bar(middles, means[name], 0.9 * bar, label=name,
                 color=style.COLOURS[number % len(style.COLOURS)])
        axes.vlines(middles[1:-1], low[name][1:], high[name][1:], color=style.INK, linewidth=0.8)
    style.tidy(axes, ylabel='accuracy %')
    axes.grid(visible=False, axis='x')
    axes.margins(x=0.01)
    axes.set_xticks(places, [label.replace('_', ' ') for label in means.index], rotation=40,
                    ha='right', rotation_mode='anchor', fontsize=9)
    style.legend(figure, ncols=min(3, len(scores.columns)))
    return figure


def draw_examples(original: np.ndarray, examples: Mapping[str, Mapping[int, np.ndarray]],
                  note: str = '') -> Any:
    """Draw one image (H, W, 3), uint8 RGB, under every corruption, a row for each severity."""
    severities = sorted({severity for images in examples.values() for severity in images})
    columns = [{severities[0]: original}, *examples.values()]
    headings = ['clean', *(name.replace('_', '\n') for name in examples)]
    figure, axes = style.image_grid(len(severities), len(columns), 'One image, corrupted',
                                    [note], headings, tile=1.2, line=0.1)
    for row, severity in zip(axes, severities):
        row[0].set_ylabel(f'severity {severity}', fontsize=9, color=style.INK)
        for place, images in zip(row, columns):
            if severity in images:
                style.show_image(place, images[severity])
            else:
                place.spines[:].set_visible(False)
    return figure
