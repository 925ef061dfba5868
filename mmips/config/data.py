# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Look through the data of a config before training: what is there, and what is wrong with it.

The toolboxes drop what they do not understand, such as boxes of a class spelt differently, or fail
in the middle of an epoch. Here every annotation is read once, by the config's own data set class.
"""
import copy
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from mmips.config import sources
from mmips.config.data_items import Event, Inspector
from mmips.datasets.files import reason

#: Kind of problem -> what it means. Training would fail, or learn something else than meant.
ERRORS = {
    'data set': 'data sets that cannot be read',
    'empty': 'data sets without an image',
    'missing image': 'images that are listed, but do not exist',
    'missing annotation': 'annotation files that do not exist (was the data set converted?)',
    'unreadable image': 'images that cannot be decoded to the end',
    'unreadable annotation': 'annotation files that cannot be read',
    'label value': 'label values that are no class (convert the labels, or map what is not a class '
                   'to the value that is ignored)',
    'class name': 'class names that the config does not know, whose boxes would be lost silently '
                  '(correct the spelling, or name the classes in metainfo=dict(classes=...))',
    'box without area': 'boxes without area, whose loss is infinite (have them ignored: '
                        'train_dataloader.dataset.filter_cfg.bbox_min_size=1)',
    'box outside': 'boxes outside of their image',
    'size': 'images of another size than their annotation says',
}
#: Kind of problem -> what it means. Training works, but perhaps not as meant.
WARNINGS = {
    'box across the border': 'boxes that reach beyond the border of their image',
    'empty box': 'boxes without area, which training ignores and no prediction can match',
    'no example': 'classes without a single example',
    'duplicate': 'images that are both in train and in val or test',
}
# So few annotations are read sooner than processes start.
_FEW = 64


@dataclass
class Split:
    """What one split holds: sums and texts, however many images it has.

    Images count once however often a wrapper repeats them; ``epoch`` is their number with the
    repetitions, None where the data set could not be built. ``counts`` are of each class what
    ``kind`` says: 'images', 'pixels' or 'boxes', with those that are ignored. ``notes`` are the
    ignored pixels; of boxes 'difficult', 'ignored', 'without boxes', 'left out'. ``problems`` are
    by their kind, a key of ``ERRORS`` or ``WARNINGS``; ``paths`` are real ones, for duplicates.
    """
    name: str
    kind: str = 'images'
    images: int = 0
    epoch: int | None = None
    counts: Counter = field(default_factory=Counter)
    images_with: Counter = field(default_factory=Counter)
    notes: Counter = field(default_factory=Counter)
    problems: dict[str, list[str]] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)

    def add(self, events: Iterable[Event]) -> None:
        """Add what was found."""
        for kind, value in events:
            if kind in ('counts', 'notes'):
                getattr(self, kind).update(value)
                self.images_with.update(value.keys() if kind == 'counts' else ())
            elif kind == 'paths':
                self.paths.add(value)
            else:
                self.problems.setdefault(kind, []).append(value)

    def is_sound(self) -> bool:
        """Whether nothing but warnings was found."""
        return not ERRORS.keys() & self.problems.keys()


def inspect_split(name: str, cfg: dict, skip: Collection[str] = (), workers: int = 0,
                  decode: bool = False, head: int | None = None) -> Split:
    """Read all annotations of the ``dataset`` of a data loader; wrappers are seen through.

    As training would see them: with ``label_map``, ``reduce_zero_label`` and ``filter_cfg``.
    Data sets of ``skip``, such as 'dataset.datasets.1', are left out; ``decode`` decodes every
    image to the end. ``head`` is how many classes the model tells apart.
    """
    from mmengine.registry import DATASETS
    split = Split(name)
    for key, part in sources.iter_datasets(cfg, 'dataset'):
        if key not in skip:
            try:
                _inspect_dataset(key, part, split, workers, decode, head)
            except Exception as error:  # what stops it is a finding
                split.add([('data set', f'{key}: {reason(error)}')])
    absent = [kind for kind, number in split.counts.items() if not number]
    if len(absent) < len(split.counts):
        split.add(('no example', kind) for kind in absent)
    if not skip and split.is_sound():
        split.epoch = split.images
        if 'dataset' in cfg or 'datasets' in cfg:
            cfg = copy.deepcopy(cfg)
            for _, part in sources.iter_datasets(cfg, 'dataset'):
                part['pipeline'] = []
            try:
                split.epoch = len(DATASETS.build(cfg))
            except Exception as error:
                split.add([('data set', f'{name}: {reason(error)}')])
    return split


def _inspect_dataset(key: str, cfg: dict, split: Split, workers: int, decode: bool,
                     head: int | None) -> None:
    from mmengine.registry import DATASETS, TRANSFORMS
    from mmengine.utils import track_parallel_progress
    dataset = DATASETS.build({**cfg, 'pipeline': [], 'lazy_init': True})
    # One list, read once, is as fast; and mmengine cannot serialize an empty one.
    dataset.serialize_data = False
    if hasattr(dataset, 'ann_subdir') and sources.is_local(dataset.ann_file):
        _watch_xml(dataset, split)
    records = [record for record in dataset.load_data_list() if record is not None]
    dataset.load_data_list = lambda: list(records)
    dataset.full_init()
    infos = [dataset.get_data_info(number) for number in range(len(dataset))]
    classes = tuple(map(str, dataset.metainfo.get('classes') or ()))
    look = Inspector(classes, None, getattr(dataset, 'ignore_index', 255), decode,
                     not getattr(dataset, 'test_mode', False), head)
    if not records:
        suffix = getattr(dataset, 'img_suffix', '')
        folder = dataset.ann_file or (dataset.data_prefix or {}).get('img_path')
        split.add([('empty', f'{key}: none in {folder or dataset.data_root}'
                    + (f' ends in {suffix!r} (img_suffix)' if suffix else ''))])
    elif records[0].get('seg_map_path'):
        split.kind = 'pixels'
        # Label images are read as the pipeline reads them.
        look.loader = TRANSFORMS.build(next(
            (dict(step) for step in cfg.get('pipeline') or ()
             if sources.type_name(step) == 'LoadAnnotations'), dict(type='LoadAnnotations')))
    elif 'instances' in records[0]:
        split.kind = 'boxes'
        split.notes['without boxes'] += sum(not record['instances'] for record in records)
        split.notes['left out'] += 0 if dataset._indices else len(records) - len(infos)
    split.images += len(infos)
    split.counts.update(dict.fromkeys(classes, 0))
    found = map(look, infos) if workers < 2 or len(infos) < _FEW else track_parallel_progress(
        look, infos, workers, chunksize=8, file=sys.stderr)
    for events in found:
        split.add(events)


def _watch_xml(dataset: Any, split: Split) -> None:
    """Note the VOC annotations that cannot be read, and what of others the data set drops."""
    parse, classes = dataset.parse_data_info, set(dataset.metainfo['classes'])

    def watched(info: dict) -> dict | None:
        path = info['xml_path']
        try:
            objects = ElementTree.parse(path).getroot().findall('object')
            record = parse(info)
        except Exception as error:  # whatever a file may hold
            split.add([('missing annotation', path) if isinstance(error, FileNotFoundError) else
                       ('unreadable annotation', f'{path}: {reason(error)}')])
            return None
        # As it stands: mmdet does not forgive a blank either.
        unknown = {each.findtext('name') or '' for each in objects} - classes
        split.add(('class name', f'{path}: {name!r}') for name in sorted(unknown))
        split.notes['difficult'] += sum(
            (each.findtext('difficult') or '0').strip() == '1' for each in objects)
        return record

    dataset.parse_data_info = watched
