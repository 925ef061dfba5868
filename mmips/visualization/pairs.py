# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A picture of pairs before and after the patch swap."""
import os
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmips.functional.patch_swap import cell_edges
from mmips.structures import split_pairs

__all__ = ['Confidence', 'draw_pairs', 'fit_text']

QUERY, PARTNER = '#1f6feb', '#e8710a'
INK, FAINT, EMPTY = '#24292f', '#8c959f', '#e6e9ed'
# Pictures below this size show their pixels; larger ones are smoothed to fit.
_SMALL = 96
# Inches: the side of a picture, the room of a pair, the top margin.
_TILE, _PAIR_WIDTH, _PAIR_HEIGHT, _TOP = 1.6, 8.3, 2.25, 1.1
_STEP, _GAP = 1.06 * _TILE, 0.6 * _TILE
_ROW_WIDTH = 3 * _STEP + _GAP + _TILE
# Inches: a line of bars below the pictures, a line of the caption, a bar.
_LINE, _CAPTION_LINE, _BAR_WIDTH, _BAR_HEIGHT = 0.21, 0.23, 0.8, 0.11


@dataclass(frozen=True)
class Confidence:
    """What one network makes of the pictures.

    Args:
        name (str): Of the network, such as 'epoch 10'.
        before (np.ndarray): Probability of each picture's class before the swap, (2P,), from
            0 to 1.
        after (np.ndarray): The same after the swap.
        note (str): More about it for the caption. Defaults to ''.
    """
    name: str
    before: np.ndarray
    after: np.ndarray
    note: str = ''


def draw_pairs(before: np.ndarray,
               after: np.ndarray,
               mask: np.ndarray | None,
               labels: Sequence[str],
               prob: float | None,
               path: str,
               title: str = 'Pairs before and after the patch swap',
               note: str = '',
               columns: int | None = None,
               dpi: int = 110,
               confidences: Sequence[Confidence] = ()) -> str:
    """Draw pairs before and after the swap, with the grid and the cells that came across.

    A query is framed in blue and its partner in orange; each cell that the swap brought
    over is outlined in the colour of the image it came from. With ``confidences``, as Figure 3
    of the IPS paper, bars below each picture show how sure networks are of its class: a
    picture of which they are surer after the swap is easy to learn, the other hard.

    Args:
        before (np.ndarray): Pictures (2P, H, W, 3), uint8 RGB, pairs interleaved.
        after (np.ndarray): The same after the swap.
        mask (np.ndarray, optional): Cells exchanged, bool (P, rows, cols); None draws no
            grid.
        labels (Sequence[str]): P names, one for each pair.
        prob (float, optional): The probability of a swap, for the caption.
        path (str): PNG file to write; its folder is made.
        title (str): Defaults to 'Pairs before and after the patch swap'.
        note (str): More caption. Defaults to ''.
        columns (int, optional): Pairs side by side. Defaults to None: two from four
            pairs on, else one.
        dpi (int): Pixels an inch. Defaults to 110.
        confidences (Sequence[Confidence]): A line of bars for each. Defaults to none.

    Returns:
        str: ``path``.

    Raises:
        ValueError: For shapes that do not fit each other.
    """
    pairs = _check(before, after, mask, labels)
    _check_confidences(confidences, len(before))
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    columns = columns or (2 if pairs > 3 else 1)
    rows = -(-pairs // columns)
    bars = len(confidences) * _LINE + 0.1 if confidences else 0
    top = _TOP + (_CAPTION_LINE * (1 + len(confidences)) + 0.1 if confidences else 0)
    pair_height = _PAIR_HEIGHT + bars
    width, height = columns * _PAIR_WIDTH, rows * pair_height + top
    # No pyplot: it would choose a window system and keep every figure in memory.
    figure = Figure(figsize=(width, height), facecolor='white')
    FigureCanvasAgg(figure)
    _caption(figure, height, title, _subtitle(mask, prob, note))
    _confidence_caption(figure, confidences)
    for number, images in enumerate(zip(*split_pairs(before), *split_pairs(after))):
        row, column = divmod(number, columns)
        left = column * _PAIR_WIDTH + (_PAIR_WIDTH - _ROW_WIDTH) / 2
        bottom = height - top - (row + 1) * pair_height + 0.25 + bars
        _draw_pair(figure, (left, bottom), images, None if mask is None else mask[number],
                   labels[number])
        for line, confidence in enumerate(confidences):
            _draw_confidence(figure, (left, bottom - 0.17 - line * _LINE), confidence, number,
                             confidence.name if len(confidences) > 1 else '')
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    figure.savefig(path, dpi=dpi)
    return path


def _check(before: np.ndarray, after: np.ndarray, mask: np.ndarray | None,
           labels: Sequence[str]) -> int:
    pairs, odd = divmod(len(before), 2)
    if odd or not pairs or before.ndim != 4 or before.shape[-1] != 3:
        raise ValueError('before must hold pairs of pictures, shape (2P, H, W, 3) with P >= 1, '
                         f'got {before.shape}.')
    if after.shape != before.shape:
        raise ValueError(f'after has the shape {after.shape}, but before {before.shape}.')
    if len(labels) != pairs:
        raise ValueError(f'Expected {pairs} labels, one for each pair, got {len(labels)}.')
    if mask is not None and (mask.ndim != 3 or len(mask) != pairs):
        raise ValueError(f'mask must have the shape ({pairs}, rows, cols), got {mask.shape}.')
    return pairs


def _check_confidences(confidences: Sequence[Confidence], number: int) -> None:
    for one in confidences:
        for field in ('before', 'after'):
            values = np.asarray(getattr(one, field))
            if values.shape != (number, ) or not ((values >= 0) & (values <= 1)).all():
                raise ValueError(f'{field} of {one.name!r} must hold {number} probabilities, one '
                                 f'for each picture, got {values}.')


def _subtitle(mask: np.ndarray | None, prob: float | None, note: str) -> str:
    parts = [] if mask is None else [f'grid {mask.shape[1]}\u2009\u00d7\u2009{mask.shape[2]}']
    if prob is not None:
        parts.append(f'prob = {prob:g}')
    return ',  '.join([*parts, *([note] if note else [])])


def _caption(figure: Any, height: float, title: str, subtitle: str) -> None:
    inch = 1 / height
    figure.text(0.5, 1 - 0.26 * inch, title, ha='center', va='center', fontsize=15,
                weight='bold', color=INK)
    figure.text(0.5, 1 - 0.55 * inch, subtitle, ha='center', va='center', fontsize=10.5, color=INK)
    figure.text(0.49, 1 - 0.83 * inch, '\u25a0 query', ha='right', va='center', fontsize=10,
                color=QUERY)
    figure.text(0.51, 1 - 0.83 * inch, '\u25a0 partner', ha='left', va='center', fontsize=10,
                color=PARTNER)


def _confidence_caption(figure: Any, confidences: Sequence[Confidence]) -> None:
    """Say what the bars are, and a line about each network."""
    if not confidences:
        return
    width, height = figure.get_size_inches()
    lines = ['bars: p, the probability of the class; their mark: p before the swap; '
             '\u25b2 easier after it, \u25bc harder']
    lines += [': '.join(filter(None, (one.name, one.note))) for one in confidences]
    for number, line in enumerate(lines):
        y = 1 - (_TOP - 0.02 + number * _CAPTION_LINE) / height
        fit_text(figure, (0.5, y), line, width - 0.3, ha='center', va='center',
                 fontsize=9 if number else 8.5, color=INK if number else FAINT)


def _draw_confidence(figure: Any, corner: tuple[float, float], confidence: Confidence, pair: int,
                     name: str) -> None:
    """Draw one network's bars below the four pictures of a pair, and its name between them."""
    left, y = corner
    width, height = figure.get_size_inches()
    before, after = (values[2 * pair:2 * pair + 2]
                     for values in (confidence.before, confidence.after))
    for place, (old, new, colour) in enumerate(zip(
            (*before, *before), (*before, *after), (QUERY, PARTNER) * 2)):
        x = left + place * _STEP + (_GAP if place > 1 else 0)
        _draw_bar(figure, (x, y), new, old if place > 1 else None, colour)
        # Compared as printed: no arrow between two equal numbers.
        change = round(float(new), 2) - round(float(old), 2)
        sign = '\u25b2' if change > 0 else '\u25bc' if change < 0 else ''
        figure.text((x + _BAR_WIDTH + 0.07) / width, y / height, f'p = {new:.2f} {sign}'.strip(),
                    ha='left', va='center', fontsize=8, color=INK)
    middle = left + (_STEP + _TILE + 2 * _STEP + _GAP) / 2
    fit_text(figure, (middle / width, y / height), name, 0.95 * _GAP, ha='center', va='center',
             fontsize=8, color=INK)


def _draw_bar(figure: Any, corner: tuple[float, float], value: float, mark: float | None,
              colour: str) -> None:
    from matplotlib.patches import Rectangle
    x, y = corner
    width, height = figure.get_size_inches()
    for start, end, fill, high in ((0, 1, EMPTY, 1), (0, value, colour, 1), *(
            [(mark - 0.012, mark + 0.012, INK, 1.5)] if mark is not None else [])):
        figure.add_artist(Rectangle(
            ((x + start * _BAR_WIDTH) / width, (y - high * _BAR_HEIGHT / 2) / height),
            (end - start) * _BAR_WIDTH / width, high * _BAR_HEIGHT / height, color=fill,
            linewidth=0))


def fit_text(figure: Any, place: tuple[float, float], text: str, width: float,
             keep: str = 'end', **style: Any) -> None:
    """Write a text into a figure, shortened to a width.

    Args:
        figure (Figure): With an Agg canvas.
        place (tuple[float, float]): As shares of the figure's width and height.
        text (str): What to write.
        width (float): Room in inches.
        keep (str): Which part of a text that is too wide is kept, its 'end' (of a path) or its
            'start'. Defaults to 'end'.
        **style: As ``Figure.text``.
    """
    artist = figure.text(*place, text, **style)
    renderer, short = figure.canvas.get_renderer(), text
    while short and artist.get_window_extent(renderer).width > width * figure.dpi:
        short = short[1:] if keep == 'end' else short[:-1]
        artist.set_text(f'\u2026{short}' if keep == 'end' else f'{short.rstrip()}\u2026')


def _draw_pair(figure: Any, corner: tuple[float, float], images: Sequence[np.ndarray],
               mask: np.ndarray | None, label: str) -> None:
    """Draw four pictures in a row, before and after, and the label above them."""
    left, bottom = corner
    width, height = figure.get_size_inches()
    swapped = mask is not None and bool(mask.any())
    for place, (image, own, other) in enumerate(zip(
            images, (QUERY, PARTNER) * 2, (PARTNER, QUERY) * 2)):
        x = left + place * _STEP + (_GAP if place > 1 else 0)
        axes = figure.add_axes((x / width, bottom / height, _TILE / width, _TILE / height))
        _draw_image(axes, image, own)
        if mask is not None:
            _draw_grid(axes, mask, image.shape[:2], other if place > 1 else None)
    figure.text(left / width, (bottom + _TILE + 0.17) / height, label, ha='left', va='center',
                fontsize=10.5, weight='bold', color=INK)
    middle = left + (_STEP + _TILE + 2 * _STEP + _GAP) / 2
    # Changed pictures without a mask, or by mixing, deserve the arrow as well.
    changed = swapped or any((images[i] != images[i + 2]).any() for i in (0, 1))
    figure.text(middle / width, (bottom + _TILE / 2) / height, '\u2192' if changed else '=',
                ha='center', va='center', fontsize=19, color=INK if changed else FAINT)
    words = f'{int(mask.sum())} of {mask.size} cells' if mask is not None and swapped else (
        'changed' if changed else 'not swapped')
    figure.text((left + _ROW_WIDTH) / width, (bottom + _TILE + 0.17) / height, words,
                ha='right', va='center', fontsize=9, color=INK if changed else FAINT)


def _draw_image(axes: Any, image: np.ndarray, colour: str) -> None:
    height, width = image.shape[:2]
    small = max(height, width) < _SMALL
    axes.imshow(image, interpolation='nearest' if small else 'antialiased',
                extent=(0, width, height, 0))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=2.2)


def _draw_grid(axes: Any, mask: np.ndarray, size: tuple[int, int], colour: str | None) -> None:
    """Draw the cells' borders and, in ``colour``, those of the cells that came across."""
    from matplotlib.patches import Rectangle
    ys, xs = (_edges(length, cells) for length, cells in zip(size, mask.shape))
    for draw, edges in ((axes.axhline, ys), (axes.axvline, xs)):
        for edge in edges[1:-1]:
            # Dark below light: the line shows on any picture.
            draw(edge, color='black', linewidth=1.5, alpha=0.35)
            draw(edge, color='white', linewidth=0.8, alpha=0.9)
    if colour is None:
        return
    inset = 0.012 * max(size)
    for row, col in zip(*np.nonzero(mask)):
        x, y = xs[col] + inset, ys[row] + inset
        axes.add_patch(Rectangle((x, y), xs[col + 1] - x - inset, ys[row + 1] - y - inset,
                                 fill=False, edgecolor=colour, linewidth=2, joinstyle='miter'))


def _edges(length: int, cells: int) -> list[int]:
    return [int(edge) for edge in cell_edges(length, cells)]
