# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A picture of pairs before and after the patch swap."""
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmips.functional.patch_swap import cell_edges
from mmips.structures import split_pairs
from mmips.visualization import style

QUERY, PARTNER = style.BLUE, style.ORANGE
# Of an image's side: a line of bars below it, a bar.
_LINE, _BAR = 0.13, (0.5, 0.07)
# Widths of a pair's places: two pictures, what happened to them, two pictures, a gap.
_WIDTHS = (1, 1, 0.9, 1, 1, 0.15)
# Behind a probability: lower, equal, higher than before the swap.
_SIGNS = {-1: ' \u25bc', 0: '', 1: ' \u25b2'}


def draw_pairs(before: np.ndarray, after: np.ndarray, mask: np.ndarray | None,
               labels: Sequence[str], notes: Sequence[str] = (),
               confidences: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None) -> Any:
    """Draw pairs before and after the swap, with the grid and the cells that came across.

    The pictures before and after it are (2P, H, W, 3), uint8 RGB, pairs interleaved; cells that
    came across, by the mask (P, rows, cols), are outlined in the colour of the image they came
    from. With ``confidences``, as Figure 3 of the IPS paper, bars show how sure networks are of
    each picture's class, (2P,) before and after the swap.
    """
    confidences = confidences or {}
    columns = 2 if len(labels) > 3 else 1
    figure, axes = style.image_grid(
        -(-len(labels) // columns), len(_WIDTHS) * columns, 'Pairs before and after the patch swap',
        notes, ('query', 'partner', '', 'query', 'partner', '') * columns, tile=1.3,
        line=0.5 + 1.7 * _LINE * len(confidences), widths=_WIDTHS * columns,
        # At the top of its row, for the bars below a picture are no part of the layout.
        anchor='N')
    for place, colour in zip(axes[0], (QUERY, PARTNER, 'none') * 2 * columns):
        place.title.set_color(colour)
    places = axes.reshape(-1, len(_WIDTHS))
    for number, images in enumerate(zip(*split_pairs(before), *split_pairs(after))):
        _draw_pair(places[number], images, None if mask is None else mask[number], labels[number])
        for line, (name, values) in enumerate(confidences.items()):
            pair = slice(2 * number, 2 * number + 2)
            _draw_confidence(places[number], line, [value[pair] for value in values],
                             name if len(confidences) > 1 else '')
    for place in (*places[len(labels):].flat, *places[:, 2], *places[:, 5]):
        place.set_axis_off()
    return figure


def _draw_pair(places: Sequence[Any], images: Sequence[np.ndarray], mask: np.ndarray | None,
               label: str) -> None:
    """Draw the four pictures of a pair, and what happened to them between them."""
    around = (*places[:2], *places[3:5])
    for number, (axes, image) in enumerate(zip(around, images)):
        own, other = ((QUERY, PARTNER), (PARTNER, QUERY))[number % 2]
        style.show_image(axes, image)
        axes.spines[:].set(color=own, linewidth=2.2)
        if mask is not None:
            _draw_grid(axes, mask, image.shape[:2], other if number > 1 else None)
    # Changed pictures without a mask, or by mixing, deserve the arrow as well.
    swapped = mask is not None and mask.any()
    changed = swapped or not np.array_equal(images[:2], images[2:])
    words = (f'{mask.sum()} of {mask.size} cells' if mask is not None and swapped else
             'changed' if changed else 'not swapped')
    middle, height = places[2], images[0].shape[0] / images[0].shape[1]
    middle.set_box_aspect(height / _WIDTHS[2])
    for y, text, options in ((0.8, textwrap.fill(label, 18, max_lines=3, placeholder='\u2026'),
                              dict(fontsize=9, weight='bold')),
                             (0.48, '\u2192' if changed else '=', dict(fontsize=19)),
                             (0.25, words, dict(fontsize=8.5))):
        middle.text(0.5, y, text, ha='center', va='center', transform=middle.transAxes,
                    color=style.INK if changed or y > 0.5 else style.FAINT, **options)


def _draw_grid(axes: Any, mask: np.ndarray, size: tuple[int, int], colour: str | None) -> None:
    """Draw the cells' borders and, in ``colour``, those of the cells that came across."""
    from matplotlib.patches import Rectangle
    ys, xs = ([int(edge) for edge in cell_edges(length, cells)]
              for length, cells in zip(size, mask.shape))
    # Dark below light: the line shows on any picture.
    for look in (dict(color='black', linewidth=1.5, alpha=0.35),
                 dict(color='white', linewidth=0.8, alpha=0.9)):
        axes.hlines(ys[1:-1], 0, size[1], **look)
        axes.vlines(xs[1:-1], 0, size[0], **look)
    inset = 0.012 * max(size)
    for row, col in zip(*np.nonzero(mask & bool(colour))):
        x, y = xs[col] + inset, ys[row] + inset
        axes.add_patch(Rectangle((x, y), xs[col + 1] - x - inset, ys[row + 1] - y - inset,
                                 fill=False, edgecolor=colour, linewidth=2, joinstyle='miter'))


def _draw_confidence(places: Sequence[Any], line: int, values: Sequence[np.ndarray],
                     name: str) -> None:
    """Draw one network's bars below the four pictures of a pair, and its name between them."""
    bottom = -_LINE * (line + 1)
    places[2].text(0.5, bottom + _BAR[1] / 2, style.shorten(name, 22), ha='center', va='center',
                   transform=places[2].transAxes, fontsize=8, color=style.INK)
    old = [float(value) for value in values[0]]
    for axes, value, mark, colour in zip(
            (*places[:2], *places[3:5]), (*old, *map(float, values[1])), (None, None, *old),
            (QUERY, PARTNER) * 2):
        bar = axes.inset_axes((0, bottom, *_BAR))
        bar.barh([0, 0], [1, value], 1, color=[style.GRID, colour])
        if mark is not None:
            bar.axvline(mark, color=style.INK, linewidth=2, clip_on=False)
        bar.set(xlim=(0, 1), ylim=(-0.5, 0.5))
        bar.set_axis_off()
        # Compared as printed: no arrow between two equal numbers.
        change = 0 if mark is None else np.sign(round(value, 2) - round(mark, 2))
        axes.text(_BAR[0] + 0.04, bottom + _BAR[1] / 2, f'p = {value:.2f}{_SIGNS[change]}',
                  va='center', transform=axes.transAxes, fontsize=8, color=style.INK)
