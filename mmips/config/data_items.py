# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Look at one image of a data set and at its annotation."""
import os.path as osp
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from mmips.config import sources
from mmips.datasets.files import reason, refuse_colours

#: 'counts' or 'notes' with a Counter, 'paths' with a path, or a kind of problem and what has it.
Event = tuple[str, Any]
_Size = tuple[int, int] | None


@dataclass
class Inspector:
    """Lists the events of a record of a data set, in any process.

    ``loader`` is the transform that reads label images, ``learned`` whether they are trained on,
    ``head`` how many classes the model tells apart.
    """
    classes: tuple[str, ...] = ()
    loader: Any = None
    ignored: int = 255
    decode: bool = False
    learned: bool = True
    head: int | None = None

    def __call__(self, record: dict) -> list[Event]:
        """All that is found in one image."""
        return list(self._inspect(record))

    def _inspect(self, record: dict) -> Iterator[Event]:
        path: Any = record.get('img_path')
        size = None
        if isinstance(path, str) and not sources.is_local(path):
            yield 'notes', Counter(remote=1)
        elif isinstance(path, str):
            yield 'paths', osp.realpath(path)
            if not osp.isfile(path):
                yield 'missing image', path
            elif self.decode:
                try:
                    with Image.open(path) as image:
                        image.load()
                        # As OpenCV turns it by its EXIF data: those beyond 4 lie on a side.
                        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
                        size = image.size[::-1] if turned else image.size
                except Exception as error:  # Pillow's decoders fail in many ways
                    yield 'unreadable image', f'{path}: {reason(error)}'
        if record.get('seg_map_path'):  # None in COCO's boxes.
            yield from self._label_image(record, size)
        elif 'instances' in record:
            yield from self._boxes(record, size)
        elif record.get('gt_label') is not None:
            numbers = dict.fromkeys(np.unique(record['gt_label']).tolist(), 1)
            yield from self._labels(numbers, path or f'image {record.get("sample_idx")}', '')

    def _labels(self, numbers: Mapping[int, int], where: str, unit: str) -> Iterator[Event]:
        """Count label values; without classes, of data or model, any will do."""
        most = min(len(self.classes) or np.inf, self.head or np.inf)
        known = {value: number for value, number in numbers.items() if 0 <= value < most}
        yield 'counts', Counter({self._name(value): number for value, number in known.items()})
        for value in numbers.keys() - known.keys():
            yield 'label value', (f'{where}: {value}{unit.format(numbers[value])} '
                                  f'({most} classes)')

    def _name(self, label: int) -> str:
        return str(self.classes[label]) if label < len(self.classes) else str(label)

    def _label_image(self, record: dict, size: _Size) -> Iterator[Event]:
        path = record['seg_map_path']
        if sources.is_local(path) and not osp.isfile(path):
            yield 'missing annotation', path
            return
        try:
            if sources.is_local(path):
                refuse_colours(path)
            label = self.loader({**record, 'seg_fields': []})['gt_seg_map']
            height, width = label.shape
        except Exception as error:  # whatever a file may hold
            yield 'unreadable annotation', f'{path}: {reason(error)}'
            return
        if size not in (None, (width, height)):
            yield 'size', (f'{record["img_path"]}: {size[0]}x{size[1]}, its labels are '
                           f'{width}x{height}')
        numbers = {value: number for value, number in enumerate(np.bincount(label.ravel()).tolist())
                   if number}
        yield 'notes', Counter(ignored=numbers.pop(self.ignored, 0))
        yield from self._labels(numbers, path, ' in {} pixels')

    def _boxes(self, record: dict, size: _Size) -> Iterator[Event]:
        width, height = record.get('width'), record.get('height')
        where, boxes = record.get('xml_path') or record.get('img_path'), record['instances']
        if size and width and height and size != (width, height):
            yield 'size', (f'{record["img_path"]}: {size[0]}x{size[1]}, its annotation says '
                           f'{width}x{height}')
        for label in {box['bbox_label'] for box in boxes if box['bbox_label'] >= (
                self.head or np.inf)}:
            yield 'label value', f'{where}: {label} ({self.head} classes)'
        for box in boxes:
            kind = _judge_box(box['bbox'], width, height)
            if kind == 'box without area' and (box.get('ignore_flag') or not self.learned):
                kind = 'empty box'
            if kind:
                yield kind, (f'{where}: {self._name(box["bbox_label"])} '
                             f'{[round(x, 1) for x in box["bbox"]]} in {width}x{height}')
        yield 'counts', Counter(self._name(box['bbox_label']) for box in boxes)
        yield 'notes', Counter(ignored=sum(bool(box.get('ignore_flag')) for box in boxes))


def _judge_box(box: Sequence[float], width: Any, height: Any) -> str:
    """What is wrong with a box (left, top, right, bottom); '' for a sound one."""
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return 'box without area'
    if not (width and height):
        return ''
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        return 'box outside'
    return 'box across the border' if min(left, top) < 0 or right > width or bottom > height else ''
