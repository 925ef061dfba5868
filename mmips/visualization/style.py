# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""How our pictures look: colours, figures, lines and grids of images, in one place."""
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmips.names import one_line

INK, FAINT, GRID = '#24292f', '#8c959f', '#e4e7eb'
BLUE, ORANGE, GREEN, RED = '#1f6feb', '#e8710a', '#1a7f37', '#cf222e'
#: Of lines and bars, in this order.
COLOURS = (BLUE, ORANGE, GREEN, '#8250df', RED, '#0a7f8c', '#bf3989', '#7d6608')
DASHES = ('solid', (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1, 1.5, 1)))
# Images below this size show their pixels; larger ones are smoothed to fit.
_SMALL = 96


def new_figure(width: float, height: float, title: str = '', notes: Sequence[str] = ()) -> Any:
    """An empty figure of so many inches, with a title and small lines below it."""
    from matplotlib.figure import Figure

    # No pyplot: it would choose a window system and keep every figure in memory.
    figure = Figure(figsize=(width, height), facecolor='white', layout='constrained')
    # A letter of this size is about a thirteenth of an inch wide.
    lines = [line for text in (title, *notes) for line in textwrap.wrap(text, int(13 * width))]
    if lines:
        figure.suptitle(plain('\n'.join(lines)), fontsize=10.5, color=INK)
    return figure


def plain(text: Any) -> str:
    """A text that is drawn as it is: for matplotlib, what stands between dollars is a formula."""
    return '\n'.join(map(one_line, str(text).split('\n'))).replace('$', r'\$')


def image_grid(rows: int, columns: int, title: str = '', notes: Sequence[str] = (),
               headings: Sequence[str] = (), tile: float = 1.7, line: float = 0.3,
               widths: Sequence[float] | None = None, **options: Any) -> tuple:
    """A figure with ``rows`` x ``columns`` places for images, and these axes, without ticks.

    ``tile`` and ``line`` are the inches of an image's side and of the captions below a row.
    """
    height = rows * (tile + line) + 0.25 * (bool(title) + len(notes)) + 0.3 * bool(headings) + 0.2
    # One narrow column leaves room for the title all the same.
    figure = new_figure(max(columns * (tile + 0.12) + 0.3, 5.4), height, title, notes)
    axes = figure.subplots(rows, columns, squeeze=False, width_ratios=widths,
                           subplot_kw=dict(xticks=[], yticks=[], **options))
    for place, heading in zip(axes[0], headings):
        place.set_title(plain(shorten(heading, 26)), fontsize=10, weight='bold', color=INK)
    return figure, axes


def show_image(axes: Any, image: np.ndarray, caption: str = '', colour: str = INK) -> None:
    """Show an image (H, W, 3), uint8 RGB, with a line below it."""
    height, width = image.shape[:2]
    axes.imshow(image, interpolation='nearest' if max(height, width) < _SMALL else 'antialiased',
                extent=(0, width, height, 0))
    axes.set_xlabel(plain(shorten(caption, 30, keep='start')), fontsize=8.5, color=colour)


def drawable(values: Any) -> Any:
    """A Series with a gap where a value is beyond what axes can have, as infinity is."""
    return values.where(values.abs() < 1e100)


def line_style(number: int) -> dict:
    """Colour and dashes of the n-th line of a picture."""
    around, place = divmod(number, len(COLOURS))
    return dict(color=COLOURS[place], linestyle=DASHES[around % len(DASHES)])


def tidy(axes: Any, xlabel: str = '', ylabel: str = '', title: str = '') -> None:
    """Axes as ours look: faint grid, two spines, small labels."""
    axes.set_xlabel(plain(xlabel), fontsize=9, color=INK)
    axes.set_ylabel(plain(ylabel), fontsize=9, color=INK)
    axes.set_title(plain(title), fontsize=9.5, color=INK)
    axes.tick_params(labelsize=8, colors=INK, length=2.5)
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.6)
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[:].set_color(FAINT)


def legend(target: Any, **options: Any) -> None:
    """A legend of axes beside them, or of a figure below all axes: it hides no curve."""
    place = (dict(loc='outside lower center') if hasattr(target, 'suptitle') else
             dict(loc='upper left', bbox_to_anchor=(1.01, 1), borderaxespad=0))
    made = target.legend(**{**place, 'fontsize': 8.5, 'frameon': False, 'labelcolor': INK,
                            **options})
    for text in made.get_texts():
        text.set_text(plain(text.get_text()))


def shorten(text: str, length: int = 34, keep: str = 'end') -> str:
    """A text of at most so many letters; of a path the end says more than the 'start'."""
    if len(text) <= length:
        return text
    return f'\u2026{text[1 - length:]}' if keep == 'end' else f'{text[:length - 1].rstrip()}\u2026'
