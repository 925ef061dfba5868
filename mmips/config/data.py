# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Look through the data of a config before training: what is there, and what is wrong with it.

The toolboxes drop what they do not understand, such as boxes of a class spelt differently, or fail
in the middle of an epoch. Here every annotation is read once, by the config's own data set class.
"""
import copy
import functools
import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmips.config import sources
from mmips.config.data_items import Job, inspect_record, read_xml, reason

__all__ = ['ERRORS', 'WARNINGS', 'Split', 'inspect_split']

#: Kind of problem -> what it means. Training would fail, or learn something else than meant.
ERRORS = {
    'data set': 'data sets that cannot be read',
    'empty': 'data sets without an image',
    'missing image': 'images that are listed, but do not exist',
    'missing annotation': 'annotation files that do not exist',
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

    def add(self, found: dict) -> None:
        """Add what was found in one image."""
        counts = found.get('counts', {})
        self.counts.update(counts)
        self.images_with.update(counts.keys())
        self.notes.update(found.get('notes', {}))
        self.paths.update(found.get('paths', ()))
        self.note(*found.get('problems', ()))

    def note(self, *problems: tuple[str, str]) -> None:
        """Add problems, each a kind and what has it."""
        for kind, place in problems:
            self.problems.setdefault(kind, []).append(place)

    def is_sound(self) -> bool:
        """Whether nothing but warnings was found."""
        return not ERRORS.keys() & self.problems.keys()


def inspect_split(name: str, cfg: dict, skip: Collection[str] = (), workers: int = 0,
                  decode: bool = False) -> Split:
    """Read all annotations of the ``dataset`` of a data loader; wrappers are seen through.

    As training would see them: with ``label_map``, ``reduce_zero_label`` and ``filter_cfg``.
    Data sets of ``skip``, such as 'dataset.datasets.1', are left out; ``decode`` decodes every
    image to the end.
    """
    split = Split(name)
    for key, part in sources.iter_datasets(cfg, 'dataset'):
        if key not in skip:
            _inspect_dataset(key, part, split, workers, decode)
    absent = [kind for kind, number in split.counts.items() if not number]
    if len(absent) < len(split.counts):
        split.note(*(('no example', kind) for kind in absent))
    if not skip and split.is_sound():
        _count_epoch(name, cfg, split)
    return split


def _inspect_dataset(key: str, cfg: dict, split: Split, workers: int, decode: bool) -> None:
    """Read one data set; what stops it becomes a finding."""
    try:
        job = _prepare(cfg, decode)
        dataset = job.dataset
        records = _load(job, split, workers)
        dataset.load_data_list = lambda: list(records)
        dataset.full_init()
    except Exception as error:
        split.note(('data set', f'{key}: {reason(error)}'))
        return
    if not records:
        split.note(('empty', f'{key}: {_where_empty(dataset)}'))
    elif 'instances' in records[0]:
        split.notes['without boxes'] += sum(not record['instances'] for record in records)
        if getattr(dataset, '_indices', None) is None:
            split.notes['left out'] += len(records) - len(dataset)
    infos = [dataset.get_data_info(number) for number in range(len(dataset))]
    if infos:
        split.kind = ('pixels' if 'seg_map_path' in infos[0] else
                      'boxes' if 'instances' in infos[0] else 'images')
    split.images += len(infos)
    # Some know their classes only now. The list is with us, and need not go to every worker.
    job.classes, job.dataset = _classes(dataset), None
    for name in job.classes:
        split.counts.setdefault(str(name), 0)
    for found in _map(functools.partial(inspect_record, job), infos, workers,
                      f'{split.name}: images'):
        split.add(found)


def _classes(dataset: Any) -> tuple[str, ...]:
    return tuple(dataset.metainfo.get('classes') or ())


def _prepare(cfg: dict, decode: bool) -> Job:
    """Build a data set that has not read anything yet."""
    from mmengine.registry import DATASETS, TRANSFORMS
    dataset = DATASETS.build({**cfg, 'pipeline': [], 'lazy_init': True})
    # One list, read once, is as fast; and mmengine cannot serialize an empty one.
    dataset.serialize_data = False
    job = Job(dataset, _classes(dataset), decode=decode,
              ignored=int(getattr(dataset, 'ignore_index', 255)),
              learned=not getattr(dataset, 'test_mode', False))
    if hasattr(dataset, 'seg_map_suffix') and hasattr(dataset, 'ignore_index'):
        # Label images are read as the pipeline reads them.
        job.loader = TRANSFORMS.build(next(
            (dict(step) for step in cfg.get('pipeline') or ()
             if sources.type_name(step) == 'LoadAnnotations'), dict(type='LoadAnnotations')))
    return job


def _load(job: Job, split: Split, workers: int) -> list[dict]:
    """Read the list of a data set without stopping at the first broken annotation."""
    dataset = job.dataset
    is_xml = all(hasattr(dataset, name) for name in ('ann_subdir', 'sub_data_root'))
    if not is_xml or not sources.is_local(dataset.ann_file):
        return dataset.load_data_list()
    from mmengine.fileio import list_from_file
    ids = list_from_file(dataset.ann_file, backend_args=dataset.backend_args)
    dataset.cat2label = {name: label for label, name in enumerate(job.classes)}
    records = []
    for found in _map(functools.partial(read_xml, job), ids, workers,
                      f'{split.name}: annotations'):
        split.add(found)
        records += [found['record']] if 'record' in found else []
    return records


def _map(function: Callable, items: Sequence, workers: int, title: str) -> Iterator[dict]:
    """``function(item)`` of all items in order, in processes where it pays."""
    from rich.console import Console
    from rich.progress import track
    console = Console(stderr=True)
    show = functools.partial(track, description=title, total=len(items), console=console,
                             transient=True, disable=not console.is_terminal)
    if workers < 2 or len(items) < _FEW:
        yield from show(map(function, items))
        return
    # Ctrl-C is answered by the main process, once.
    with multiprocessing.Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        # Small enough for the bar to move.
        chunk = max(1, min(64, len(items) // (16 * workers)))
        yield from show(pool.imap(function, items, chunk))


def _where_empty(dataset: Any) -> str:
    if dataset.ann_file:
        return f'{dataset.ann_file} lists none'
    suffix = getattr(dataset, 'img_suffix', '')
    folder = (dataset.data_prefix or {}).get('img_path') or dataset.data_root
    return f'none in {folder}' + (f' ends in {suffix!r} (img_suffix)' if suffix else '')


def _count_epoch(name: str, cfg: dict, split: Split) -> None:
    """Images of an epoch, through all the wrappers of data sets that were found sound."""
    from mmengine.registry import DATASETS
    split.epoch = split.images
    if 'dataset' in cfg or 'datasets' in cfg:
        cfg = copy.deepcopy(cfg)
        for _, part in sources.iter_datasets(cfg, 'dataset'):
            part['pipeline'] = []
        try:
            split.epoch = len(DATASETS.build(cfg))
        except Exception as error:
            split.note(('data set', f'{name}: {reason(error)}'))
