# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What a config gets wrong about its data sets as a whole: splits that overlap, other classes."""
import inspect
import os.path as osp
from collections.abc import Iterator
from typing import Any

from mmips.config.sources import iter_datasets, refuse_no_text, type_name
from mmips.config.structure import find_preprocessor
from mmips.errors import explained

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
#: Data sets that divide one source by themselves -> the arguments that say how.
_DIVIDED_BY = {'ImageFolder': ('seed', 'val_fraction'), 'DigitsDataset': ('seed', 'per_class')}
#: Data sets that hand out whole batches -> the data preprocessors that do not take them.
_NOT_TAKEN_BY = {'EncodedImages': ('', 'ClsDataPreprocessor', 'BatchDataPreprocessor'),
                 'ImagesOnDevice': ()}


def head_classes(cfg: Any) -> int | None:
    """The number of classes that a model's head tells apart; None where it is not clear."""
    model = cfg.get('model') or {}
    head = next(filter(None, (model.get(key) for key in (
        'head', 'decode_head', 'bbox_head'))), None)
    head = head[-1] if isinstance(head, (list, tuple)) else head
    number = head.get('num_classes') if head else None
    # A binary segmentation may have one channel for two classes.
    return number if isinstance(number, int) and number > 1 else None


def data_mistakes(cfg: Any) -> list[str]:
    """What is wrong with the data sets of a config beside each other, a sentence each.

    Raises:
        UserError: If folders of a data set cannot be classes.
    """
    parts = [(key, part) for field in LOADERS for key, part in iter_datasets(
        (cfg.get(field) or {}).get('dataset'), f'{field}.dataset')]
    for key, part in parts:
        refuse_no_text(key, part)
    with explained('The data cannot be read'):
        return [*_overlaps(parts), *_other_classes(cfg, parts), *_torn_batches(cfg)]


def _torn_batches(cfg: Any) -> Iterator[str]:
    """Data sets that hand out whole batches, to what does not take them."""
    taker = find_preprocessor(cfg)
    for field in LOADERS:
        loader = cfg.get(field) or {}
        kind, collate = type_name(loader.get('dataset')), loader.get('collate_fn')
        if kind not in _NOT_TAKEN_BY:
            continue
        if not collate or type_name(collate) in ('default_collate', 'pseudo_collate'):
            yield (f'{field}.collate_fn is {collate!r}, but mmips.{kind} hands out whole batches: '
                   f"write {field} = dict(collate_fn=dict(type='mmips.whole_batch')).")
        if type_name(taker) in _NOT_TAKEN_BY[kind]:
            yield (f'data_preprocessor.type is {taker.get("type")!r}, which does not take the '
                   f'batches of mmips.{kind} in {field}: write data_preprocessor = dict('
                   "type='mmips.DecodeDataPreprocessor').")


def _overlaps(parts: list[tuple[str, dict]]) -> Iterator[str]:
    """Splits drawn from one source in two ways, so that images would be in both."""
    first: dict[tuple, tuple[str, dict]] = {}
    for key, part in parts:
        kind, root = type_name(part), osp.realpath(osp.expanduser(part.get('data_root') or ''))
        if kind not in _DIVIDED_BY or kind == 'ImageFolder' and _has_own_val(root):
            continue
        other, theirs = first.setdefault((kind, root), (key, part))
        from mmips import datasets
        defaults = inspect.signature(getattr(datasets, kind)).parameters
        for name in _DIVIDED_BY[kind]:
            ours, given = (each.get(name, defaults[name].default) for each in (part, theirs))
            if ours != given:
                yield (f'{key}.{name} is {ours!r} and {other}.{name} is {given!r}, so that an '
                       f'image may be in both splits: give both the same (--cfg-options '
                       f'{other}.{name}={given} {key}.{name}={given}).')


def _has_own_val(root: str) -> bool:
    from mmips.datasets.folders import class_root
    return osp.isdir(root) and class_root(root, 'train') != class_root(root, 'val')


def _other_classes(cfg: Any, parts: list[tuple[str, dict]]) -> Iterator[str]:
    """Data sets of ours with other classes than the head, or than each other."""
    number, first = head_classes(cfg), None
    # As in our npz.py; elsewhere a file may well have some of the classes only.
    counts = 'npz_file' in cfg and 'num_classes' in cfg
    for key, part in parts:
        count, names, option, variable = _classes(part, counts and key.startswith('train'))
        if not count:
            continue
        where = f'{key}.{option} is {part.get(option)!r}'
        if number not in (None, count):
            yield (f'{where}, of {count} classes, but model.head.num_classes is {number}: name the '
                   f'data by the variable {variable}, which configs of mmips count classes by '
                   'before they know of options, or correct the number.')
        elif names != (first := first or names):
            yield (f'{where}, whose classes {names} are not those of the other data sets, {first}: '
                   f'name all by the variable {variable}, or by one option for each data set.')


def _classes(part: dict, is_counted: bool) -> tuple[int, list[str] | None, str, str]:
    """Number and names of a data set's classes, what names it; 0 where that is not our business."""
    from mmips.datasets import count_npz_classes, find_classes
    kind, root = type_name(part), osp.expanduser(part.get('data_root') or '')
    path = osp.join(root, part.get('ann_file') or '')
    if kind == 'ImageFolder' and osp.isdir(root):
        names = find_classes(root)
        return len(names), names, 'data_root', 'MMIPS_DATA'
    if kind == 'ArrayDataset' and is_counted and osp.isfile(path) and not part.get('labels_key'):
        key = f'labels_{part.get("split", "train")}'
        return count_npz_classes(path, part.get('max_classes'), key), None, 'ann_file', 'MMIPS_NPZ'
    return 0, None, '', ''
