# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The pipeline of a data set, made to name the sample that is wrong."""
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from mmengine.dataset import Compose

from mmips.errors import UserError

from . import files
from .files import LOOK, printable, reason


class NamedCompose(Compose):
    """Transforms as they are; what they fail on is named, and what they load is looked at.

    An image must be of the size that its annotation says; a label image of mmseg of two
    dimensions, the image's size and values that are classes or ignored; boxes that are learned
    must have an area; labels be classes.

    Args:
        transforms (list): The transforms, already built.
        source (str): What to call the data set in messages.
        classes (int, optional): Number of classes. Default: None, any label will do.
        ignored (int, optional): Value of pixels that are in no class; None where label images
            are not those of mmseg. Default: None.
        learned (bool): Whether boxes are trained on. Default: True.

    Raises:
        UserError: When called with a sample that is wrong; in one line, which is what remains of
            the message of a worker process.
    """

    def __init__(self, transforms: list, source: str, classes: int | None = None,
                 ignored: int | None = None, learned: bool = True) -> None:
        self.transforms = transforms
        self.source, self.classes = source, classes
        self.ignored, self.learned = ignored, learned

    def __call__(self, data: dict) -> dict | None:
        """What the transforms make of a sample; None where one of them asks for another."""
        record, transform = data.copy(), None
        try:
            self._check_record(record)
            for transform in self.transforms:
                result = transform(data)
                if result is None:
                    return None
                data, kind = result, type(transform).__name__
                if kind.startswith('LoadImage'):
                    _check_image(data, record)
                elif kind.startswith('LoadAnn') and self.ignored is not None:
                    self._check_label_image(data, record)
            return data
        except (UserError, MemoryError):
            raise
        except Exception as error:  # whatever a file may hold
            raise UserError(self._explain(record, transform, error)) from error

    def _explain(self, record: dict, transform: Any, error: Exception) -> str:
        kind, why = type(transform).__name__, reason(error)
        paths = [path for key in ('img_path', 'seg_map_path')
                 if isinstance(path := record.get(key), str)]
        if transform is None:
            return (f'{self._where(record)}: its annotation cannot be read ({why}): correct it '
                    f'({LOOK}).')
        if kind.startswith('Load'):
            for path in paths:
                if fault := files.fault(path):
                    return f'{printable(path)} {fault}: put it right or leave it out ({LOOK}).'
            path = paths[-1 if kind.startswith('LoadAnn') else 0] if paths else ''
            return (f'{printable(path) or self._where(record)} cannot be read ({why}): replace '
                    f'the file or leave it out ({LOOK}).')
        return (f'{self._where(record)}: the transform {kind} fails on it ({why}): correct its '
                f'arguments, or else the file and its annotation ({LOOK}).')

    def _where(self, record: dict) -> str:
        return printable(record.get('xml_path') or record.get('img_path') or '') or (
            f'image {record.get("sample_idx")} of {self.source}')

    def _check_record(self, record: dict) -> None:
        """What the annotation says by itself."""
        classes, labels = self.classes, record.get('gt_label')
        if isinstance(labels, (list, np.ndarray, np.integer)):
            numbers = np.ravel(labels).tolist()
        else:  # of several tasks it is a dict
            numbers = [labels] if isinstance(labels, int) else []
        for label in numbers:
            if classes is not None and not 0 <= label < classes:
                raise self._wrong_label(record, label)
        for box in record.get('instances') or ():
            if classes is not None and box['bbox_label'] >= classes:
                raise self._wrong_label(record, box['bbox_label'])
            if self.learned and not box.get('ignore_flag') and len(box['bbox']) == 4:
                left, top, right, bottom = box['bbox']
                if not (right > left and bottom > top):  # nor NaN
                    raise UserError(
                        f'{self._where(record)}: the box {list(box["bbox"])} has no area, so that '
                        'its loss would be infinite: correct it, or have such boxes ignored by '
                        f'train_dataloader.dataset.filter_cfg.bbox_min_size=1 ({LOOK}).')

    def _wrong_label(self, record: dict, label: int) -> UserError:
        return UserError(
            f'{self._where(record)}: its label {label} is no class, there are {self.classes}, from '
            f'0: correct the label, or the number of classes of the config ({LOOK}).')

    def _check_label_image(self, data: dict, record: dict) -> None:
        label, path = data.get('gt_seg_map'), record.get('seg_map_path')
        if label is None or not isinstance(path, str):
            return
        where, advice = printable(path), f'convert the label image ({LOOK}).'
        if label.ndim != 2:
            raise UserError(f'{where} is in colour, shape {label.shape}, but a label image holds '
                            f'the number of a class for each pixel: {advice}')
        if not files.is_remote(path) and files.may_be_deep(path):
            files.refuse_colours(path)
        height, width = data.get('ori_shape', label.shape)[:2]
        if label.shape != (height, width):
            raise UserError(f'{where} is {label.shape[1]}x{label.shape[0]}, but its image '
                            f'{printable(record["img_path"])} is {width}x{height}: {advice}')
        if self.classes and label.max(initial=0) >= self.classes:
            unknown = (label >= self.classes) & (label != self.ignored)
            if unknown.any():
                raise UserError(
                    f'{where} has the value {label[unknown][0]} in {unknown.sum()} pixels, but '
                    f'there are {self.classes} classes, from 0, and {self.ignored} for what is in '
                    f'none: {advice}')


def name_samples(dataset: Any, num_classes: int | None = None) -> None:
    """Put a :class:`NamedCompose` in the place of the pipeline of each data set below wrappers.

    Labels have to lie below ``num_classes`` and the number of the data set's own classes, where
    either is known.
    """
    wholes = hasattr(dataset, '__getitems__') and hasattr(dataset, 'get_gt_labels')
    for part in leaves(dataset):
        named = getattr(part, 'metainfo', {}).get('classes') or ()
        classes = min(filter(None, (num_classes, len(named))), default=None)
        source = getattr(part, 'ann_file', '') or type(part).__name__
        if wholes and classes and (labels := dataset.get_gt_labels()).max(initial=0) >= classes:
            # Whole batches see no pipeline.
            raise UserError(f'{source}: the label {labels.max()} is no class, there are {classes}, '
                            'from 0: correct the labels, or the number of classes of the config.')
        # A pipeline of another class has a way of its own.
        if type(getattr(part, 'pipeline', None)) is Compose:
            part.pipeline = NamedCompose(
                part.pipeline.transforms, source, classes, getattr(part, 'ignore_index', None),
                not getattr(part, 'test_mode', False))


def leaves(dataset: Any) -> Iterator[Any]:
    """The data sets below all wrappers."""
    inner = getattr(dataset, 'dataset', None)
    parts: Iterable[Any] = getattr(dataset, 'datasets', None) or (
        [inner] if hasattr(inner, '__getitem__') and not isinstance(inner, (str, dict)) else [])
    for part in parts:
        yield from leaves(part)
    if not parts:
        yield dataset


def _check_image(data: dict, record: dict) -> None:
    path, size = record.get('img_path'), data.get('ori_shape')
    if not isinstance(path, str) or size is None:
        return
    height, width = record.get('height'), record.get('width')
    if width and height and (height, width) != tuple(size[:2]):
        raise UserError(f'{printable(path)} is {size[1]}x{size[0]}, but its annotation says '
                        f'{width}x{height}, so that its boxes lie elsewhere: correct it ({LOOK}).')
