# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A picture of the class activation maps of several networks."""
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmips.visualization import style

# From blue, little, to red, much, as in the paper, without the false bright rings of 'jet'.
_COLOURS, _ALPHA = 'turbo', 0.5
#: A caption below an image has room for so many letters.
_LETTERS = 26


def draw_cam(images: np.ndarray, captions: Sequence[str], maps: Mapping[str, np.ndarray],
             predictions: Mapping[str, Sequence[tuple[str, bool]]],
             title: str = 'Class activation maps', notes: Sequence[str] = ()) -> Any:
    """Draw where several networks look, side by side, as in Figure 9 of the IPS paper.

    A row is one of the images (N, H, W, 3), uint8 RGB, then each network's map (N, H, W), from 0
    to 1, over it, with what the network takes it for, green if that is right and else red.
    """
    headings = ('image', *(style.shorten(name, 20) for name in maps))
    figure, axes = style.image_grid(len(images), 1 + len(maps), title, notes, headings)
    for place, image, caption in zip(axes[:, 0], images, captions):
        style.show_image(place, image, style.shorten(caption, _LETTERS, 'start'))
    height, width = images.shape[1:3]
    for column, name in zip(axes[:, 1:].T, maps):
        for place, image, cam, (text, right) in zip(column, images, maps[name], predictions[name]):
            # The end of a prediction is its probability.
            style.show_image(place, image, style.shorten(text, _LETTERS),
                             style.GREEN if right else style.RED)
            place.imshow(cam, cmap=_COLOURS, vmin=0, vmax=1, alpha=_ALPHA,
                         interpolation='bilinear', extent=(0, width, height, 0))
    from matplotlib.cm import ScalarMappable
    scale = figure.colorbar(ScalarMappable(cmap=_COLOURS), ax=axes, location='bottom', shrink=0.4,
                            ticks=[0, 1], aspect=25, fraction=0.08 / len(images), pad=0.01)
    scale.set_ticklabels(['little', 'much'], fontsize=8, color=style.INK)
    return figure
