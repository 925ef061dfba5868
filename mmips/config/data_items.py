# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Look at one image of a data set and at its annotation."""
import os.path as osp
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmips.config import sources

__all__ = ['Job', 'inspect_record', 'read_xml', 'reason']


@dataclass
class Job:
    """What a worker has to know of a data set.

    ``loader`` is the transform that reads label images, ``learned`` whether it is trained on.
    """
    dataset: Any
    classes: tuple[str, ...] = ()
    loader: Any = None
    ignored: int = 255
    decode: bool = False
    learned: bool = True

    def name(self, label: int) -> str:
        """What a label is called."""
        return str(self.classes[label]) if label < len(self.classes) else str(label)


def read_xml(job: Job, image_id: str) -> dict:
    """Parse one VOC annotation: the record of the data set, and what it drops."""
    dataset = job.dataset
    path = osp.join(dataset.sub_data_root, dataset.ann_subdir, f'{image_id}.xml')
    image = osp.join(dataset.img_subdir, f'{image_id}.jpg')
    try:
        objects = ET.parse(path).getroot().findall('object')
        record = dataset.parse_data_info(dict(img_id=image_id, file_name=image, xml_path=path))
    except FileNotFoundError as error:
        return dict(problems=[('missing annotation', str(error.filename or path))])
    except Exception as error:  # whatever a file may hold
        return dict(problems=[('unreadable annotation', f'{path}: {reason(error)}')])
    # As it stands: mmdet does not forgive a blank either.
    unknown = {each.findtext('name') or '' for each in objects} - set(job.classes)
    difficult = sum((each.findtext('difficult') or '0').strip() == '1' for each in objects)
    return dict(record=record, notes=Counter(difficult=difficult),
                problems=[('class name', f'{path}: {name!r}') for name in sorted(unknown)])


def inspect_record(job: Job, record: dict) -> dict:
    """What is in one image of a data set: ``counts``, ``notes``, ``paths`` and ``problems``."""
    problems: list[tuple[str, str]] = []
    path: Any = record.get('img_path')
    is_file = isinstance(path, str) and sources.is_local(path)
    size = _inspect_image(path, job.decode, problems) if is_file else None
    inspect = (_inspect_label_image if 'seg_map_path' in record else
               _inspect_boxes if 'instances' in record else _inspect_class)
    found = inspect(job, record, size, problems)
    return dict(problems=problems, paths=[osp.realpath(path)] if is_file else [], **found)


def _inspect_image(path: Any, decode: bool, problems: list) -> tuple[int, int] | None:
    """Width and height of an image, where it is opened and can be."""
    if not osp.isfile(path):
        problems.append(('missing image', path))
    elif decode:
        from PIL import Image
        try:
            with Image.open(path) as image:
                image.load()
                return image.size
        except Exception as error:  # Pillow's decoders fail in many ways
            problems.append(('unreadable image', f'{path}: {reason(error)}'))
    return None


def _inspect_class(job: Job, record: dict, size: Any, problems: list) -> dict:
    if record.get('gt_label') is None:
        return {}
    where = record.get('img_path', f'image {record.get("sample_idx")}')
    counts: Counter = Counter()
    for value in np.unique(record['gt_label']).tolist():
        if 0 <= value < (len(job.classes) or np.inf):
            counts[job.name(value)] = 1
        else:
            problems.append(('label value', f'{where}: {value} ({len(job.classes)} classes)'))
    return dict(counts=counts)


def _inspect_label_image(job: Job, record: dict, size: Any, problems: list) -> dict:
    path = record['seg_map_path']
    if sources.is_local(path) and not osp.isfile(path):
        problems.append(('missing annotation', path))
        return {}
    try:
        _refuse_colours(path)
        label = job.loader({**record, 'seg_fields': []})['gt_seg_map']
        if label.ndim != 2:
            raise ValueError(f'its shape is {label.shape}, but labels have one channel')
    except Exception as error:  # whatever a file may hold
        problems.append(('unreadable annotation', f'{path}: {reason(error)}'))
        return {}
    if size not in (None, label.shape[::-1]):
        problems.append(('size', f'{record["img_path"]}: {size[0]}x{size[1]}, its labels are '
                         f'{label.shape[1]}x{label.shape[0]}'))
    counts: Counter = Counter()
    numbers = np.bincount(label.ravel(), minlength=256)
    ignored, numbers[job.ignored] = int(numbers[job.ignored]), 0
    for value in np.flatnonzero(numbers).tolist():
        number = int(numbers[value])
        if value < len(job.classes):
            counts[job.name(value)] = number
        else:
            problems.append(('label value', f'{path}: {value} in {number} pixels '
                             f'({len(job.classes)} classes, {job.ignored} is ignored)'))
    return dict(notes=Counter(ignored=ignored), counts=counts)


def _refuse_colours(path: str) -> None:
    """Refuse what mmseg would read without a word: colours, and values beyond a byte."""
    if not sources.is_local(path):
        return
    from PIL import Image
    with Image.open(path) as image:
        if image.mode.startswith(('RGB', 'CMYK', 'LA')):
            raise ValueError(f'it is a colour image ({image.mode}), not one of label numbers; '
                             'convert it')
        if image.mode.startswith('I') and image.getextrema()[1] > 255:
            raise ValueError(f'it holds values up to {image.getextrema()[1]}, but mmseg reads '
                             'bytes')


def _inspect_boxes(job: Job, record: dict, size: Any, problems: list) -> dict:
    width, height = record.get('width'), record.get('height')
    where, boxes = record.get('xml_path') or record.get('img_path'), record['instances']
    if size and width and height and size != (width, height):
        problems.append(('size', f'{record["img_path"]}: {size[0]}x{size[1]}, its annotation says '
                         f'{width}x{height}'))
    for box in boxes:
        kind = _judge_box(box['bbox'], width, height)
        if kind == 'box without area' and (box.get('ignore_flag') or not job.learned):
            kind = 'empty box'
        if kind:
            problems.append((kind, f'{where}: {job.name(box["bbox_label"])} '
                             f'{[round(x, 1) for x in box["bbox"]]} in {width}x{height}'))
    return dict(counts=Counter(job.name(box['bbox_label']) for box in boxes),
                notes=Counter(ignored=sum(bool(box.get('ignore_flag')) for box in boxes)))


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


def reason(error: BaseException) -> str:
    """The type of an error and its first line."""
    return ': '.join([type(error).__name__, *str(error).strip().splitlines()[:1]])
