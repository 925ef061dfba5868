# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pictures of accuracy under corruptions, and of the corruptions themselves."""
import os
import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmips.evaluation.corruptions import CorruptionScores

__all__ = ['draw_accuracies', 'draw_examples']

INK, FAINT = '#24292f', '#8c959f'
COLOURS = ('#8c959f', '#1f6feb', '#e8710a', '#1a7f37', '#8250df', '#bf3989', '#9a6700', '#0a7ea4')
# Inches: a bar, the most for all bars, the gap between groups, height of the bars' axes, side of
# an example, the least width, which has room for a note.
_BAR, _BARS, _GAP, _HEIGHT, _TILE, _LEAST = 0.26, 9, 0.3, 3.6, 1.05, 9


def draw_accuracies(scores: Mapping[str, CorruptionScores], corruptions: Sequence[str], path: str,
                    title: str = 'Accuracy under corruptions', note: str = '',
                    dpi: int = 110) -> str:
    """Draw the accuracy for each corruption, the networks' bars side by side.

    A bar is the mean over the severities and the thin line on it their range.

    Args:
        scores (Mapping[str, CorruptionScores]): By the networks' names.
        corruptions (Sequence[str]): C names, the rows of ``accuracy``.
        path (str): PNG file to write; its folder is made.
        title (str): Defaults to 'Accuracy under corruptions'.
        note (str): Below the title. Defaults to ''.
        dpi (int): Pixels an inch. Defaults to 110.

    Returns:
        str: ``path``.

    Raises:
        ValueError: If there is no network, or not a row for each corruption.
    """
    if not scores or any(len(one.accuracy) != len(corruptions) for one in scores.values()):
        raise ValueError(f'Expected scores of at least one network for {len(corruptions)} '
                         f'corruptions, got {[one.accuracy.shape for one in scores.values()]}.')
    labels = ['clean', *corruptions, 'mean']
    width = min(_BAR * len(scores), _BARS / len(labels))
    # The clean images and the mean stand apart from the corruptions.
    lefts = np.arange(len(labels)) * (width + _GAP)
    lefts[1:] += _GAP
    lefts[-1] += _GAP
    length = lefts[-1] + width + _GAP
    legend = 0.24 * -(-len(scores) // 3)
    figure, height = _figure(max(length + 1.2, _LEAST), _HEIGHT + 1.9 + legend)
    _caption(figure, height, title, note)
    page = figure.get_figwidth()
    axes = figure.add_axes(((page - length + 0.3) / 2 / page, 1.15 / height, length / page,
                            _HEIGHT / height))
    bar = width / len(scores)
    for number, (name, one) in enumerate(scores.items()):
        _draw_bars(axes, lefts + (number + 0.5) * bar, bar, one, name,
                   COLOURS[number % len(COLOURS)])
    axes.set_xlim(-_GAP, length - _GAP)
    axes.set_xticks(lefts + width / 2, [label.replace('_', ' ') for label in labels], rotation=40,
                    ha='right', rotation_mode='anchor', fontsize=10)
    axes.set_ylabel('accuracy %', color=INK)
    axes.grid(axis='y', color=FAINT, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc='upper center', frameon=False, ncols=3,
                  bbox_to_anchor=(0.5, 1 - 0.66 / height), fontsize=10)
    return _save(figure, path, dpi)


def _draw_bars(axes: Any, middles: np.ndarray, width: float, one: CorruptionScores, name: str,
               colour: str) -> None:
    means = one.accuracy.mean(1)
    values = np.array([one.clean, *means, means.mean()])
    axes.bar(middles, values, 0.9 * width, color=colour, label=name)
    if one.accuracy.shape[1] > 1:
        # Over what the severities spread; the clean images and the mean have none.
        axes.vlines(middles[1:-1], one.accuracy.min(1), one.accuracy.max(1), color=INK,
                    linewidth=0.8)


def draw_examples(original: np.ndarray, examples: Mapping[str, Mapping[int, np.ndarray]],
                  path: str, title: str = 'One image under the corruptions', note: str = '',
                  dpi: int = 110) -> str:
    """Draw one image under every corruption, a row for each severity.

    Args:
        original (np.ndarray): The image, (H, W, 3) uint8 RGB.
        examples (Mapping[str, Mapping[int, np.ndarray]]): The corrupted image by corruption and
            severity, of any size.
        path (str): PNG file to write; its folder is made.
        title (str): Defaults to 'One image under the corruptions'.
        note (str): Below the title. Defaults to ''.
        dpi (int): Pixels an inch. Defaults to 110.

    Returns:
        str: ``path``.
    """
    severities = sorted({severity for images in examples.values() for severity in images})
    columns = [('clean', dict.fromkeys(severities[:1], original)), *examples.items()]
    width = max(1.12 * _TILE * len(columns) + 0.9, _LEAST)
    margin = (width - 1.12 * _TILE * len(columns) + 0.6) / 2
    figure, height = _figure(width, 1.12 * _TILE * len(severities) + 1.2)
    _caption(figure, height, title, note)
    for column, (name, images) in enumerate(columns):
        left = margin + 1.12 * _TILE * column
        figure.text((left + _TILE / 2) / width, 1 - 0.95 / height, name.replace('_', '\n'),
                    ha='center', va='center', fontsize=9, color=INK, linespacing=0.9)
        for row, severity in enumerate(severities):
            if severity not in images:
                continue
            bottom = height - 1.17 - 1.12 * _TILE * row - _TILE
            axes = figure.add_axes((left / width, bottom / height, _TILE / width, _TILE / height))
            axes.imshow(images[severity], interpolation='nearest' if
                        max(images[severity].shape) < 96 else 'antialiased')
            axes.axis('off')
    for row, severity in enumerate(severities):
        middle = height - 1.17 - 1.12 * _TILE * row - _TILE / 2
        figure.text((margin - 0.37) / width, middle / height,
                    f'severity\n{severity}', ha='center', va='center', fontsize=9, color=INK)
    return _save(figure, path, dpi)


def _figure(width: float, height: float) -> tuple[Any, float]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    # No pyplot: it would choose a window system and keep every figure in memory.
    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)
    return figure, height


def _caption(figure: Any, height: float, title: str, note: str) -> None:
    figure.text(0.5, 1 - 0.24 / height, title, ha='center', va='center', fontsize=14,
                weight='bold', color=INK)
    figure.text(0.5, 1 - 0.52 / height, note, ha='center', va='center', fontsize=9, color=INK)


def _save(figure: Any, path: str, dpi: int) -> str:
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    figure.savefig(f'{path}.part', dpi=dpi, format='png')
    os.replace(f'{path}.part', path)
    return path
