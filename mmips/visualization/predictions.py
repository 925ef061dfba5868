# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A picture of the predictions of several networks beside the ground truth."""
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from PIL import Image

from mmips.visualization import style

# Share of the class colour in a blend.
_ALPHA = 0.65
# Up to so many classes, colours alone tell boxes apart.
_FEW = 6
# Pixels of a label map's longer side in the picture, and letters of a box's text in points.
_PANEL, _POINTS = 480, 6.5
_DASHED = (0, (3, 2))


def draw_predictions(examples: Sequence[tuple[str, np.ndarray, Sequence]], names: Sequence[str],
                     classes: Sequence[str], palette: Any, title: str = '',
                     score_thr: float = 0.3) -> Any:
    """Draw images, ground truth and the predictions of several networks side by side.

    An example is a caption, an image (H, W, 3), uint8 RGB, and what is known of it: the ground
    truth, then each network's prediction. Each is a label map (H, W), or a DataFrame of boxes with
    ``left``, ``top``, ``right``, ``bottom`` in pixels, ``label`` and, if there are any, ``score``
    and ``difficult``. Without a palette of RGB colours, classes have some that differ.
    """
    palette = _colours(palette, len(classes))
    columns = 2 + len(names)
    tile = min(max(2.4, 21 / columns), 4.2)
    note = 'classes over the grey image; striped: not as in the ground truth'
    if isinstance(examples[0][2][0], pd.DataFrame):
        examples = [(caption, image, [
            boxes[boxes['score'] >= score_thr].sort_values('score', ascending=False, kind='stable')
            if 'score' in boxes else boxes for boxes in known])
                    for caption, image, known in examples]
        shown = 'classes and scores' if len(classes) > _FEW else 'scores'
        note = f'boxes with a score of at least {score_thr:g}; {shown} where there is room'
    figure, axes = style.image_grid(
        len(examples), columns, style.shorten(title, int(columns * tile * 10)), [note],
        ['image', 'ground truth', *names], tile=tile)
    # Rows as high as the highest image; upright ones take a quarter more than a square.
    lean = min(1.25, max(image.shape[0] / image.shape[1] for _, image, _ in examples))
    figure.set_figheight(1.4 + len(examples) * (lean * tile + 0.3))
    for row, (caption, image, known) in zip(axes, examples):
        style.show_image(row[0], image, caption)
        for place, labels in zip(row[1:], known):
            if isinstance(labels, pd.DataFrame):
                style.show_image(place, image)
                _draw_boxes(place, labels, classes, palette, max(image.shape[:2]) / (72 * tile))
            else:
                style.show_image(place, _blend(image, labels, known[0], palette))
    _legend(figure, [labels for _, _, known in examples for labels in known], classes, palette)
    return figure


def _colours(palette: Any, number: int) -> np.ndarray:
    """A colour for each class: those that are given, or some that differ."""
    if isinstance(palette, (list, tuple, np.ndarray)) and len(palette) >= number:
        return np.asarray(palette, np.uint8)[:number]
    # Steps of the golden ratio: neighbours differ, however many there are.
    shades = matplotlib.colormaps['hsv'](0.618 * np.arange(number) % 1)
    return (255 * shades[:, :3]).astype(np.uint8)


def _blend(image: np.ndarray, labels: np.ndarray, truth: np.ndarray, palette: np.ndarray
           ) -> np.ndarray:
    """Lay class colours over the grey image; hatch what is no class, stripe what is wrong.

    All at the size of the picture, so that stripes are as wide for any image.
    """
    scale = _PANEL / max(labels.shape)
    rows, columns = (((np.arange(max(1, round(old * scale))) + 0.5) / scale).astype(int).clip(
        0, old - 1) for old in labels.shape)
    labels, truth = (part[np.ix_(rows, columns)].astype(np.int64) for part in (labels, truth))
    known, counts = ((part >= 0) & (part < len(palette)) for part in (labels, truth))
    resized = Image.fromarray(image).resize((len(columns), len(rows)), Image.Resampling.BOX)
    grey = np.asarray(resized.convert('L'), np.float32)[..., None]
    picture = ((1 - _ALPHA) * grey + _ALPHA * palette[np.where(known, labels, 0)]).round()
    y, x = np.indices((*labels.shape, 1))[:2]
    known, wrong, stripes = known[..., None], ((labels != truth) & counts)[..., None], (x - y) % 9
    # Dark beside light: the stripe shows on any colour.
    return np.select(
        [wrong & (stripes < 2), wrong & (stripes == 2), ~known & ((x + y) % 8 < 2), ~known],
        [255, 0, 150, 0], picture).astype(np.uint8)


def _draw_boxes(axes: Any, boxes: pd.DataFrame, classes: Sequence[str], palette: Any,
                point: float) -> None:
    """Draw boxes with score and name where there is room; ``point`` is 1/72 inch in pixels."""
    size = axes.get_images()[0].get_extent()[1:3]
    taken: list[Any] = []
    for rank, box in enumerate(boxes.to_dict('records')):
        colour = palette[box['label']] / 255
        left, top, right, bottom = np.clip(
            [box[side] for side in ('left', 'top', 'right', 'bottom')], 0, [*size, *size])
        # The best above the others, each with an edge that shows light colours on a light image.
        axes.add_patch(Rectangle(
            (left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=1.5,
            linestyle=_DASHED if box.get('difficult') else 'solid', zorder=3 - rank / len(boxes),
            path_effects=[withStroke(linewidth=2.3, foreground=style.FAINT)]))
        name = classes[box['label']] if len(classes) > _FEW else ''
        score = f'{box["score"]:.2f}' if 'score' in box else ''
        for text in dict.fromkeys(filter(None, (f'{name} {score}'.strip(), score))):
            place = _free_place((left, top, right, bottom), len(text), point, size, taken)
            if place:
                taken.append(place)
                axes.text(*(place.min + place.max) / 2, text, ha='center', va='center_baseline',
                          fontsize=_POINTS, bbox=dict(facecolor=colour, linewidth=0, pad=1),
                          color='black' if colour @ (0.3, 0.59, 0.11) > 0.55 else 'white', zorder=4)
                break


def _free_place(box: tuple, letters: int, point: float, size: tuple, taken: list) -> Any:
    """Where a text fits at a corner of its box, outside of all others, if anywhere."""
    left, top, right, bottom = box
    width, height = (0.62 * letters + 0.5) * _POINTS * point, 1.6 * _POINTS * point
    places = (Bbox.from_bounds(min(max(x, 0), size[0] - width), y, width, height) for x, y in (
        (left, top - height), (left, top), (right - width, top - height),
        (left, bottom - height), (right - width, bottom - height), (left, bottom)))
    return next((place for place in places if place.x0 >= 0 <= place.y0 and place.y1 <= size[1]
                 and not place.count_overlaps(taken)), None)


def _legend(figure: Any, known: Sequence, classes: Sequence[str], palette: Any) -> None:
    """A swatch for each class that occurs, and for what does not count."""
    boxes = pd.concat([part for part in known if isinstance(part, pd.DataFrame)] or [
        pd.DataFrame({'label': np.unique(np.concatenate([np.ravel(part) for part in known]))})])
    numbers = np.unique(boxes['label'])
    handles = [Patch(facecolor=tuple(palette[number] / 255), edgecolor=style.INK,
                     label=style.shorten(str(classes[number]), 26))
               for number in numbers if 0 <= number < len(classes)]
    if len(handles) < len(numbers):
        handles.append(Patch(facecolor='black', edgecolor='#969696', hatch='////',
                             label='ignored'))
    if 'difficult' in boxes and boxes['difficult'].eq(True).any():
        handles.append(Patch(fill=False, linestyle=_DASHED, label='difficult, not counted'))
    # Inches of the widest entry, with its swatch.
    widest = 0.085 * max((len(str(part.get_label())) for part in handles), default=0) + 0.6
    style.legend(figure, handles=handles,
                 ncols=max(1, min(len(handles), int(figure.get_figwidth() / widest))))
