# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A picture of the class activation maps of several networks."""
import os
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmips.visualization.pairs import FAINT, INK, fit_text

__all__ = ['CamExample', 'draw_cam']

RIGHT, WRONG = '#1a7f37', '#cf222e'
# Pictures below this size show their pixels; larger ones are smoothed to fit.
_SMALL = 96
# From blue, little, to red, much, as in the paper, without the false bright rings of 'jet'.
_COLOURS, _ALPHA = 'turbo', 0.5
# Inches: side of a picture, between pictures, below a picture for its caption, margins.
_TILE, _GAP, _TEXT, _LEFT, _TOP, _BOTTOM = 1.7, 0.12, 0.3, 0.2, 0.88, 0.5
_LINE = 0.2


@dataclass(frozen=True)
class CamExample:
    """One row of the picture.

    Args:
        image (np.ndarray): The image (H, W, 3), uint8 RGB.
        maps (Sequence[np.ndarray]): A map (H, W) from each network, from 0 to 1.
        caption (str): What the image shows.
        predictions (Sequence[str]): What each network takes it for.
        right (Sequence[bool]): Whether that is right.
    """
    image: np.ndarray
    maps: Sequence[np.ndarray]
    caption: str
    predictions: Sequence[str]
    right: Sequence[bool]


def draw_cam(examples: Sequence[CamExample],
             names: Sequence[str],
             path: str,
             title: str = 'Class activation maps',
             notes: Sequence[str] = (),
             dpi: int = 130) -> str:
    """Draw where several networks look, side by side, as in Figure 9 of the IPS paper.

    A row is an image: first itself, with its class, then each network's map over it, red
    where it is high and blue where it is low, with the predicted class, green if that is right
    and else red.

    Args:
        examples (Sequence[CamExample]): At least one.
        names (Sequence[str]): A name for each network.
        path (str): PNG file to write; its folder is made.
        title (str): Defaults to 'Class activation maps'.
        notes (Sequence[str]): Lines below the title. Defaults to none.
        dpi (int): Pixels an inch. Defaults to 130.

    Returns:
        str: ``path``.

    Raises:
        ValueError: For numbers, shapes or values that do not fit.
    """
    _check(examples, names)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    columns = 1 + len(names)
    # One network leaves room for the title all the same.
    width = max(2 * _LEFT + columns * _TILE + (columns - 1) * _GAP, 5.4)
    top = _TOP + len(notes) * _LINE
    height = top + len(examples) * (_TILE + _TEXT) + _BOTTOM
    left = (width - columns * _TILE - (columns - 1) * _GAP) / 2
    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)
    fit_text(figure, (0.5, 1 - 0.3 / height), title, width - 0.2, 'start', ha='center',
             va='center', fontsize=13, weight='bold', color=INK)
    for line, note in enumerate(notes):
        fit_text(figure, (0.5, 1 - (0.57 + line * _LINE) / height), note, width - 0.2, 'start',
                 ha='center', va='center', fontsize=8.5, color=FAINT)
    for column, name in enumerate(('image', *names)):
        x = left + column * (_TILE + _GAP) + _TILE / 2
        fit_text(figure, (x / width, 1 - (top - 0.15) / height), name, _TILE, ha='center',
                 va='center', fontsize=10.5, weight='bold', color=INK)
    for row, example in enumerate(examples):
        bottom = height - top - (row + 1) * (_TILE + _TEXT) + _TEXT
        _draw_row(figure, (left, bottom), example)
    _draw_scale(figure)
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    figure.savefig(f'{path}.part', dpi=dpi, format='png')
    os.replace(f'{path}.part', path)
    return path


def _check(examples: Sequence[CamExample], names: Sequence[str]) -> None:
    if not examples or not names:
        raise ValueError('Maps need at least one image and one network, got '
                         f'{len(examples)} images and the names {list(names)}.')
    for example in examples:
        if example.image.ndim != 3 or example.image.shape[-1] != 3:
            raise ValueError(f'{example.caption}: image must have the shape (H, W, 3), got '
                             f'{example.image.shape}.')
        for field in ('maps', 'predictions', 'right'):
            if len(getattr(example, field)) != len(names):
                raise ValueError(f'{example.caption}: expected {len(names)} {field}, one for each '
                                 f'of {list(names)}, got {len(getattr(example, field))}.')
        for cam in example.maps:
            if cam.shape != example.image.shape[:2]:
                raise ValueError(f'{example.caption}: a map has the shape {cam.shape}, but the '
                                 f'image {example.image.shape[:2]}.')
            if not ((cam >= 0) & (cam <= 1)).all():
                raise ValueError(f'{example.caption}: maps must be from 0 to 1, got {cam.min()} '
                                 f'to {cam.max()}.')


def _draw_row(figure: Any, corner: tuple[float, float], example: CamExample) -> None:
    left, bottom = corner
    width, height = figure.get_size_inches()
    texts = [(example.caption, INK), *(
        (text, RIGHT if right else WRONG)
        for text, right in zip(example.predictions, example.right))]
    for column, (cam, (text, colour)) in enumerate(zip((None, *example.maps), texts)):
        x = left + column * (_TILE + _GAP)
        axes = figure.add_axes((x / width, bottom / height, _TILE / width, _TILE / height))
        _draw_map(axes, example.image, cam)
        # The end of a prediction is its probability.
        fit_text(figure, ((x + _TILE / 2) / width, (bottom - 0.12) / height), text, _TILE + 0.06,
                 'end' if column else 'start', ha='center', va='center', fontsize=9, color=colour)


def _draw_map(axes: Any, image: np.ndarray, cam: np.ndarray | None) -> None:
    height, width = image.shape[:2]
    small = max(height, width) < _SMALL
    axes.set_axis_off()
    axes.imshow(image, interpolation='nearest' if small else 'antialiased')
    if cam is not None:
        axes.imshow(cam, cmap=_COLOURS, vmin=0, vmax=1, alpha=_ALPHA, interpolation='bilinear')


def _draw_scale(figure: Any) -> None:
    """The colours from little to much, at the bottom."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(((width / 2 - 0.7) / width, 0.2 / height, 1.4 / width, 0.09 / height))
    axes.set_axis_off()
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=_COLOURS, aspect='auto')
    for x, text, align in ((-0.78, 'little', 'right'), (0.78, 'much', 'left')):
        figure.text((width / 2 + x) / width, 0.24 / height, text, ha=align, va='center',
                    fontsize=8, color=FAINT)
