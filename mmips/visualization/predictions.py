# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A picture of the predictions of several networks beside the ground truth."""
import os.path as osp
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ['Boxes', 'Example', 'blend_labels', 'draw_boxes', 'draw_predictions']

INK, FAINT = (36, 41, 47), (110, 119, 129)
# Pixels: outer margin, between pictures, of a swatch of the legend.
_MARGIN, _GAP, _SWATCH = 18, 8, (26, 16)
# Pictures below this size show their pixels; larger ones are smoothed to fit.
_SMALL = 96
# Share of the class colour in a blend.
_ALPHA = 0.65
# Up to so many classes, colours alone tell boxes apart.
_FEW = 6


@dataclass(frozen=True)
class Boxes:
    """Boxes on one image, found or annotated.

    Args:
        boxes (np.ndarray): Corners (N, 4), left, top, right, bottom in pixels of the image.
        labels (np.ndarray): Class numbers (N, ).
        scores (np.ndarray, optional): Scores (N, ) of a detector. Defaults to None, as for
            annotations.
        difficult (np.ndarray, optional): Which boxes do not count, bool (N, ); drawn dashed.
            Defaults to None: all count.
    """
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    difficult: np.ndarray | None = None

    def above(self, score: float) -> 'Boxes':
        """Those with at least some score; all, where boxes have none."""
        if self.scores is None:
            return self
        keep = self.scores >= score
        difficult = None if self.difficult is None else self.difficult[keep]
        return Boxes(self.boxes[keep], self.labels[keep], self.scores[keep], difficult)


@dataclass(frozen=True)
class Example:
    """One row of the picture.

    Args:
        image (np.ndarray): The image (H, W, 3), uint8 RGB.
        truth (np.ndarray | Boxes): Label map (H, W) of class numbers, or boxes.
        predictions (Sequence[np.ndarray | Boxes]): The same from each network.
        caption (str): Such as the name of the image. Defaults to ''.
    """
    image: np.ndarray
    truth: 'np.ndarray | Boxes'
    predictions: 'Sequence[np.ndarray | Boxes]'
    caption: str = ''


@dataclass(frozen=True)
class _Style:
    """What every panel needs: class names, colours and the least score."""
    classes: Sequence[str]
    palette: np.ndarray
    score_thr: float


def draw_predictions(examples: Sequence[Example],
                     names: Sequence[str],
                     classes: Sequence[str],
                     palette: Sequence[Sequence[int]],
                     title: str = '',
                     score_thr: float = 0.3,
                     width: int | None = None) -> Image.Image:
    """Draw images, ground truth and the predictions of several networks side by side.

    Each example is a row; its columns are the image, the ground truth and each network, as in
    Figures 6 and 7 of the IPS paper. Label maps are blended over the grey image; what is wrong
    is striped white, and what is ignored is hatched on black. Boxes bear their score, and of
    more than six classes the name, where there is room; difficult ones are dashed. The legend
    names the classes that occur.

    Args:
        examples (Sequence[Example]): At least one; all label maps or all boxes.
        names (Sequence[str]): A name for each network.
        classes (Sequence[str]): K class names.
        palette (Sequence[Sequence[int]]): K colours, RGB from 0 to 255.
        title (str): Defaults to ''.
        score_thr (float): Boxes below this score are left out. Defaults to 0.3.
        width (int, optional): Pixels of a column. Defaults to None: up to 480, less for many
            columns.

    Returns:
        Image: The picture.

    Raises:
        ValueError: For numbers or shapes that do not fit each other.
    """
    _check(examples, names, classes, palette)
    style = _Style(classes, np.asarray(palette, np.uint8), score_thr)
    columns = 2 + len(names)
    width = width or max(260, min(480, 2300 // columns))
    total = 2 * _MARGIN + columns * width + (columns - 1) * _GAP
    is_boxes = isinstance(examples[0].truth, Boxes)
    blocks = [_head(title, _note(is_boxes, style), total),
              _column_titles(['image', 'ground truth', *names], width, total),
              *(_draw_row(example, style, width, total) for example in examples),
              _draw_legend(examples, style, total)]
    picture = Image.new('RGB', (total, sum(block.height for block in blocks)), 'white')
    top = 0
    for block in blocks:
        picture.paste(block, (0, top))
        top += block.height
    return picture


def _check(examples: Sequence[Example], names: Sequence[str], classes: Sequence[str],
           palette: Sequence[Sequence[int]]) -> None:
    if not examples:
        raise ValueError('There is no example to draw.')
    if len(palette) < len(classes) or any(len(colour) != 3 for colour in palette):
        raise ValueError(f'palette must hold a colour (R, G, B) for each of the {len(classes)} '
                         f'classes, got {len(palette)}: {list(palette)[:3]}...')
    for example in examples:
        if example.image.ndim != 3 or example.image.shape[-1] != 3:
            raise ValueError(f'{example.caption}: image must have the shape (H, W, 3), got '
                             f'{example.image.shape}.')
        if len(example.predictions) != len(names):
            raise ValueError(f'{example.caption}: expected {len(names)} predictions, one for each '
                             f'of {list(names)}, got {len(example.predictions)}.')
        for labels in (example.truth, *example.predictions):
            if not isinstance(labels, Boxes) and labels.shape != example.image.shape[:2]:
                raise ValueError(f'{example.caption}: a label map has the shape {labels.shape}, '
                                 f'but the image {example.image.shape[:2]}.')


def blend_labels(image: np.ndarray, labels: np.ndarray, palette: np.ndarray,
                 wrong: np.ndarray | None = None) -> np.ndarray:
    """Lay class colours over the grey image.

    Args:
        image (np.ndarray): (H, W, 3), uint8 RGB.
        labels (np.ndarray): Class numbers (H, W); whatever is no class is hatched on black.
        palette (np.ndarray): Colours (K, 3), uint8.
        wrong (np.ndarray, optional): Pixels to stripe, bool (H, W). Defaults to None.

    Returns:
        np.ndarray: (H, W, 3), uint8 RGB: 35 % luminance and 65 % colour.
    """
    known = (labels >= 0) & (labels < len(palette))
    grey = np.asarray(Image.fromarray(image).convert('L'), np.float32)[..., None]
    colours = palette[np.where(known, labels, 0)]
    picture = ((1 - _ALPHA) * grey + _ALPHA * colours).round().astype(np.uint8)
    y, x = np.indices(labels.shape)
    picture[~known] = 0
    picture[~known & ((x + y) % 8 < 2)] = 150
    if wrong is not None:
        stripes = (x - y) % 9
        picture[wrong & (stripes < 2)] = 255
        # Dark beside light: the stripe shows on any colour.
        picture[wrong & (stripes == 2)] = 0
    return picture


def _draw_row(example: Example, style: _Style, width: int, total: int) -> Image.Image:
    """The caption and the panels of one example."""
    height, own_width = example.image.shape[:2]
    # Upright images are as high as a column is wide, and a quarter more.
    scale = min(width / own_width, 1.25 * width / height)
    size = max(1, round(own_width * scale)), max(1, round(height * scale))
    small = max(height, own_width) < _SMALL
    image = Image.fromarray(example.image).resize(
        size, Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS)
    caption = 24
    block = Image.new('RGB', (total, size[1] + caption + 10), 'white')
    font = _font(14)
    ImageDraw.Draw(block).text((_MARGIN, caption - 4), _shorten(
        example.caption, font, total - 2 * _MARGIN), fill=FAINT, font=font, anchor='ls')
    panels = [image, *(_draw_panel(image, labels, example.truth, style, scale)
                       for labels in (example.truth, *example.predictions))]
    for column, panel in enumerate(panels):
        left = _MARGIN + column * (width + _GAP) + (width - size[0]) // 2
        block.paste(panel, (left, caption))
    return block


def _draw_panel(image: Image.Image, labels: np.ndarray | Boxes, truth: np.ndarray | Boxes,
                style: _Style, scale: float) -> Image.Image:
    if isinstance(labels, Boxes):
        return draw_boxes(image, labels.above(style.score_thr), style.classes, style.palette,
                          scale)
    labels = _resize_labels(labels, image.size)
    wrong = None
    if isinstance(truth, np.ndarray):
        truth = _resize_labels(truth, image.size)
        wrong = (labels != truth) & _is_class(truth, style)
    return Image.fromarray(blend_labels(np.asarray(image), labels, style.palette, wrong))


def _is_class(labels: np.ndarray, style: _Style) -> np.ndarray:
    return (labels >= 0) & (labels < len(style.classes))


def _resize_labels(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The label map (H, W) at another width and height, nearest pixel."""
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int)
                     for new, old in zip(size[::-1], labels.shape))
    return labels[rows[:, None], columns[None]].astype(np.int64)


def draw_boxes(image: Image.Image, boxes: Boxes, classes: Sequence[str], palette: np.ndarray,
               scale: float = 1.) -> Image.Image:
    """Draw boxes over an image, and what they are where there is room.

    That is the score and, of more than six classes, the name.

    Args:
        image (Image): RGB, already scaled.
        boxes (Boxes): In pixels of the image before it was scaled.
        classes (Sequence[str]): K class names.
        palette (np.ndarray): Colours (K, 3), uint8.
        scale (float): By what the image was scaled. Defaults to 1.

    Returns:
        Image: A new picture of the same size.
    """
    picture = image.copy()
    canvas = ImageDraw.Draw(picture)
    corners = [_corners(box, scale, picture.size) for box in boxes.boxes]
    order = range(len(corners))
    if boxes.scores is not None:
        order = np.argsort(-boxes.scores, kind='stable')  # type: ignore[assignment]
    # The best last, above the others.
    for number in reversed(order):
        dashed = boxes.difficult is not None and bool(boxes.difficult[number])
        _rectangle(canvas, corners[number], tuple(palette[boxes.labels[number]].tolist()), dashed)
    # The best first: it takes its place before the others.
    taken: list[tuple[int, int, int, int]] = []
    for number in order:
        name = classes[boxes.labels[number]] if len(classes) > _FEW else ''
        score = '' if boxes.scores is None else f'{boxes.scores[number]:.2f}'
        texts = list(dict.fromkeys(filter(None, (f'{name} {score}'.strip(), score))))
        _tag(canvas, corners[number], texts, tuple(palette[boxes.labels[number]].tolist()),
             picture.size, taken)
    return picture


def _corners(box: np.ndarray, scale: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (float(value) * scale for value in box)
    return (round(min(max(left, 0), size[0] - 1)), round(min(max(top, 0), size[1] - 1)),
            round(min(max(right, left, 0), size[0] - 1)),
            round(min(max(bottom, top, 0), size[1] - 1)))


def _rectangle(canvas: ImageDraw.ImageDraw, corners: tuple[int, int, int, int],
               colour: tuple[int, ...], dashed: bool) -> None:
    left, top, right, bottom = corners
    if not dashed:
        if _is_light(colour):
            canvas.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=FAINT)
        canvas.rectangle(corners, outline=colour, width=2)
        return
    for start in range(left, right + 1, 9):
        for y in (top, bottom - 1):
            canvas.rectangle((start, y, min(start + 4, right), y + 1), fill=colour)
    for start in range(top, bottom + 1, 9):
        for x in (left, right - 1):
            canvas.rectangle((x, start, x + 1, min(start + 4, bottom)), fill=colour)


def _tag(canvas: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], texts: Sequence[str],
         colour: tuple[int, ...], size: tuple[int, int],
         taken: list[tuple[int, int, int, int]]) -> None:
    """Write the first text for which a corner of the box is free; none, where all are taken."""
    font = _font(11)
    left, top, right, bottom = corners
    for text in texts:
        width, height = round(font.getlength(text)) + 5, 14
        for x, y in ((left, top - height), (left, top), (right - width + 1, top - height),
                     (left, bottom - height + 1), (right - width + 1, bottom - height + 1),
                     (left, bottom + 1)):
            x = min(max(x, 0), size[0] - width)
            place = (x, y, x + width - 1, y + height - 1)
            if x >= 0 <= y and place[3] < size[1] and not any(_overlap(place, other)
                                                             for other in taken):
                canvas.rectangle(place, fill=colour)
                canvas.text((x + 3, y + height - 4), text, font=font, anchor='ls',
                            fill='black' if _is_light(colour) else 'white')
                taken.append(place)
                return


def _overlap(one: tuple[int, int, int, int], two: tuple[int, int, int, int]) -> bool:
    return one[0] <= two[2] and two[0] <= one[2] and one[1] <= two[3] and two[1] <= one[3]


def _is_light(colour: Sequence[int]) -> bool:
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140


def _note(is_boxes: bool, style: _Style) -> str:
    """How to read the picture."""
    if not is_boxes:
        return 'classes over the grey image; striped: not as in the ground truth'
    what = 'classes and scores' if len(style.classes) > _FEW else 'scores'
    return f'boxes with a score of at least {style.score_thr:g}; {what} where there is room'


def _head(title: str, note: str, total: int) -> Image.Image:
    block = Image.new('RGB', (total, 64 if title else 34), 'white')
    canvas, font = ImageDraw.Draw(block), _font(20, bold=True)
    canvas.text((_MARGIN, 32), _shorten(title, font, total - 2 * _MARGIN), fill=INK, font=font,
                anchor='ls')
    canvas.text((_MARGIN, block.height - 8), note, fill=FAINT, font=_font(14), anchor='ls')
    return block


def _column_titles(titles: Sequence[str], width: int, total: int) -> Image.Image:
    font, line = _font(16, bold=True), 20
    wrapped = [_wrap(title, font, width) for title in titles]
    block = Image.new('RGB', (total, line * max(map(len, wrapped)) + 10), 'white')
    canvas = ImageDraw.Draw(block)
    for column, lines in enumerate(wrapped):
        centre = _MARGIN + column * (width + _GAP) + width // 2
        # The last lines stand at one height, next to the pictures.
        top = block.height - line * len(lines)
        for number, text in enumerate(lines):
            canvas.text((centre, top + line * number + 15), text, fill=INK, font=font,
                        anchor='ms')
    return block


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a text into lines that are not wider than ``width``, at a slash if there is one."""
    fits = max(1, int(width / font.getlength('m')))
    if font.getlength(text) <= width:
        return [text]
    parts = text.replace('/', '/ ').split()
    lines = [parts[0]]
    for part in parts[1:]:
        joint = '' if lines[-1].endswith('/') else ' '
        if font.getlength(lines[-1] + joint + part) <= width:
            lines[-1] += joint + part
        else:
            lines.append(part)
    return [piece for line in lines for piece in (
        [line] if font.getlength(line) <= width else textwrap.wrap(line, fits))]


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Leave out the beginning of a text that is too wide; a path's end says more."""
    short = text
    while short and font.getlength(f'\u2026{short}' if short != text else text) > width:
        short = short[1:]
    return text if short == text else f'\u2026{short}'


def _present(examples: Sequence[Example], style: _Style) -> tuple[list[int], bool]:
    """The classes that occur in the picture, and whether there are ignored parts."""
    present: set[int] = set()
    ignored = False
    for example in examples:
        for labels in (example.truth, *example.predictions):
            if isinstance(labels, Boxes):
                labels = labels.above(style.score_thr)
                ignored |= labels.difficult is not None and bool(labels.difficult.any())
                labels = labels.labels
            inside = _is_class(labels, style)
            ignored |= not inside.all()
            present.update(np.unique(labels[inside]).tolist())
    return sorted(present), ignored


def _draw_legend(examples: Sequence[Example], style: _Style, total: int) -> Image.Image:
    """Swatch and name of each class that occurs, as many in a line as fit."""
    present, ignored = _present(examples, style)
    is_boxes = isinstance(examples[0].truth, Boxes)
    entries = [(_swatch(style.palette[label]), str(style.classes[label])) for label in present]
    if ignored:
        entries.append((_dashed_swatch(), 'difficult, not counted') if is_boxes else
                       (_swatch(None), 'ignored'))
    font, line = _font(15), 26
    places, x, y = [], _MARGIN, 8
    for swatch, name in entries:
        width = _SWATCH[0] + 7 + round(font.getlength(name)) + 22
        if x > _MARGIN and x + width > total - _MARGIN:
            x, y = _MARGIN, y + line
        places.append((swatch, name, x, y))
        x += width
    block = Image.new('RGB', (total, y + line + 10), 'white')
    canvas = ImageDraw.Draw(block)
    for swatch, name, x, y in places:
        block.paste(swatch, (x, y))
        canvas.text((x + _SWATCH[0] + 7, y + 13), name, fill=INK, font=font, anchor='ls')
    return block


def _swatch(colour: np.ndarray | None) -> Image.Image:
    """The pure colour in a frame, or what stands for ignored pixels."""
    pixels = np.empty((_SWATCH[1], _SWATCH[0], 3), np.uint8)
    if colour is None:
        pixels = blend_labels(pixels, np.full(pixels.shape[:2], -1), np.zeros((1, 3), np.uint8))
    else:
        pixels[:] = colour
    swatch = Image.fromarray(pixels)
    ImageDraw.Draw(swatch).rectangle((0, 0, _SWATCH[0] - 1, _SWATCH[1] - 1), outline=INK)
    return swatch


def _dashed_swatch() -> Image.Image:
    swatch = Image.new('RGB', _SWATCH, 'white')
    _rectangle(ImageDraw.Draw(swatch), (0, 0, _SWATCH[0] - 1, _SWATCH[1] - 1), INK, dashed=True)
    return swatch


@lru_cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    # matplotlib brings a font along, so that the picture is the same on every machine.
    import matplotlib
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(osp.join(matplotlib.get_data_path(), 'fonts', 'ttf', name), size)
