# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Look through the data of a config before training: what is there, and what is wrong with it.

mmpretrain, mmseg and mmdet read what they understand and drop the rest, or fail in the middle of
an epoch: a class name that a detection set spells differently loses its boxes without a word, a
label value beyond the classes ends in an index error on the device. Here every annotation is read
once, as the config's own data set class reads it, and what is wrong is named by its file.
"""
import multiprocessing
import os.path as osp
import signal
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmips.config import sources

__all__ = ['ERRORS', 'WARNINGS', 'Report', 'find_duplicates', 'inspect_split']

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
FEW = 64


@dataclass
class Report:
    """What one split holds.

    Args:
        name (str): Such as 'train'.
        kind (str): What ``counts`` counts: 'images', 'pixels' or 'boxes'. Defaults to 'images'.
    """
    name: str
    kind: str = 'images'
    #: Images that would be used, each once however often a wrapper repeats it.
    images: int = 0
    #: Images of an epoch, by the wrappers; None where the data set could not be built.
    epoch: int | None = None
    #: For each class images, pixels or boxes; boxes with the ignored ones.
    counts: Counter = field(default_factory=Counter)
    #: For each class the images in which it occurs.
    occurs: Counter = field(default_factory=Counter)
    #: Pixels that are ignored; 'difficult', 'ignored', 'without boxes', 'left out' for boxes.
    notes: Counter = field(default_factory=Counter)
    #: Kind of problem, a key of ``ERRORS`` or ``WARNINGS``, -> what has it.
    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: The real paths of the images, for duplicates.
    paths: set[str] = field(default_factory=set)

    def add(self, finding: dict) -> None:
        """Add what was found in one image."""
        self.counts.update(finding.get('counts', {}))
        self.occurs.update(finding.get('counts', {}).keys())
        self.notes.update(finding.get('notes', {}))
        self.paths.update(finding.get('paths', ()))
        for kind, what in finding.get('problems', ()):
            self.problems[kind].append(what)

    def errors(self) -> dict[str, list[str]]:
        """The problems that are errors."""
        return {kind: found for kind, found in self.problems.items() if kind in ERRORS}

    def as_dict(self) -> dict:
        """The numbers and problems for a JSON file."""
        return dict(kind=self.kind, images=self.images, epoch=self.epoch, counts=dict(self.counts),
                    images_with=dict(self.occurs), notes=dict(self.notes),
                    problems=dict(self.problems))


@dataclass
class _Job:
    """What a worker has to know; sent to it once."""
    dataset: Any
    classes: tuple[str, ...] = ()
    loader: Any = None
    ignored: int = 255
    decode: bool = False
    #: Whether something is trained on it.
    learned: bool = True


def _name(classes: Sequence[str], label: int) -> str:
    return str(classes[label]) if label < len(classes) else str(label)


# ---- one image -------------------------------------------------------------------------------


def read_xml(job: _Job, image_id: str) -> dict:
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
        return dict(problems=[('unreadable annotation', f'{path}: {_reason(error)}')])
    # As it stands: mmdet does not forgive a blank either.
    names = [each.findtext('name') or '' for each in objects]
    unknown = sorted(set(names) - set(job.classes))
    difficult = sum((each.findtext('difficult') or '0').strip() == '1' for each in objects)
    return dict(record=record, notes=Counter(difficult=difficult),
                problems=[('class name', f'{path}: {name!r}') for name in unknown])


def inspect_record(job: _Job, record: dict) -> dict:
    """Look at one image of a data set and at its annotation.

    Args:
        job (_Job): The data set and how to read it.
        record (dict): What the data set knows of the image.

    Returns:
        dict: ``counts``, ``notes`` and ``problems``.
    """
    problems: list[tuple[str, str]] = []
    size = _inspect_image(record.get('img_path'), job.decode, problems)
    if 'seg_map_path' in record:
        found = _inspect_label_image(job, record, size, problems)
    elif 'instances' in record:
        found = _inspect_boxes(job, record, size, problems)
    else:
        found = _inspect_class(job, record, problems)
    path = record.get('img_path')
    real = [osp.realpath(path)] if isinstance(path, str) and sources.is_local(path) else []
    return dict(problems=problems, paths=real, **found)


def _inspect_image(path: Any, decode: bool, problems: list) -> tuple[int, int] | None:
    """Width and height of an image, where it is opened and can be."""
    if not isinstance(path, str) or not sources.is_local(path):
        return None
    if not osp.isfile(path):
        problems.append(('missing image', path))
        return None
    if not decode:
        return None
    from PIL import Image
    try:
        with Image.open(path) as image:
            image.load()
            return image.size
    except Exception as error:  # Pillow's decoders fail in many ways
        problems.append(('unreadable image', f'{path}: {_reason(error)}'))
        return None


def _inspect_class(job: _Job, record: dict, problems: list) -> dict:
    labels = record.get('gt_label')
    if labels is None:
        return {}
    values = sorted({int(label) for label in np.atleast_1d(np.asarray(labels))})
    wrong = [value for value in values if not 0 <= value < (len(job.classes) or np.inf)]
    where = record.get('img_path', f'image {record.get("sample_idx")}')
    problems += [('label value', f'{where}: {value} ({len(job.classes)} classes)')
                 for value in wrong]
    return dict(counts=Counter(_name(job.classes, value) for value in values
                               if value not in wrong))


def _inspect_label_image(job: _Job, record: dict, size: Any, problems: list) -> dict:
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
        problems.append(('unreadable annotation', f'{path}: {_reason(error)}'))
        return {}
    if size not in (None, label.shape[::-1]):
        problems.append(('size', f'{record["img_path"]}: {size[0]}x{size[1]}, its labels are '
                         f'{label.shape[1]}x{label.shape[0]}'))
    numbers = np.bincount(label.ravel(), minlength=256)
    ignored = int(numbers[job.ignored])
    numbers[job.ignored] = 0
    wrong = [value for value in np.flatnonzero(numbers) if value >= len(job.classes)]
    problems += [('label value', f'{path}: {value} in {numbers[value]} pixels '
                  f'({len(job.classes)} classes, {job.ignored} is ignored)') for value in wrong]
    return dict(notes=Counter(ignored=ignored),
                counts=Counter({_name(job.classes, value): int(numbers[value])
                                for value in np.flatnonzero(numbers) if value not in wrong}))


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


def _inspect_boxes(job: _Job, record: dict, size: Any, problems: list) -> dict:
    width, height = record.get('width'), record.get('height')
    where = record.get('xml_path') or record.get('img_path')
    if size and width and height and size != (width, height):
        problems.append(('size', f'{record["img_path"]}: {size[0]}x{size[1]}, its annotation says '
                         f'{width}x{height}'))
    counts: Counter = Counter()
    ignored = 0
    for instance in record['instances']:
        name = _name(job.classes, instance['bbox_label'])
        counts[name] += 1
        ignored += bool(instance.get('ignore_flag'))
        kind = _judge_box(instance['bbox'], width, height)
        if kind == 'box without area' and (instance.get('ignore_flag') or not job.learned):
            kind = 'empty box'
        if kind:
            problems.append((kind, f'{where}: {name} {[round(x, 1) for x in instance["bbox"]]} in '
                             f'{width}x{height}'))
    return dict(counts=counts, notes=Counter(ignored=ignored))


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


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0]}' if lines else type(error).__name__


# ---- all images ------------------------------------------------------------------------------

_job: Any = None


def _start_worker(job: _Job) -> None:
    global _job
    _job = job
    # Ctrl-C is answered by the main process, once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(task: tuple[Callable, Any]) -> dict:
    function, item = task
    return function(_job, item)


def _run(function: Callable, job: _Job, items: Sequence, workers: int, title: str
         ) -> Iterator[dict]:
    """``function(job, item)`` of all items in order, in processes where it pays."""
    from rich.console import Console
    from rich.progress import track
    console = Console(stderr=True)

    def show(results: Iterable) -> Iterator:
        return iter(track(results, title, total=len(items), console=console, transient=True,
                          disable=not console.is_terminal))

    if workers < 2 or len(items) < FEW:
        yield from show(function(job, item) for item in items)
        return
    with multiprocessing.Pool(workers, _start_worker, (job, )) as pool:
        # Small enough for the bar to move.
        chunk = max(1, min(64, len(items) // (16 * workers)))
        yield from show(pool.imap(_work, ((function, item) for item in items), chunk))


# ---- a data set, a split -----------------------------------------------------------------------


def _load(dataset: Any, job: _Job, report: Report, workers: int) -> list[dict]:
    """Read the list of a data set without stopping at the first broken annotation."""
    is_xml = all(hasattr(dataset, name) for name in ('ann_subdir', 'sub_data_root'))
    if not is_xml or not sources.is_local(dataset.ann_file):
        return dataset.load_data_list()
    from mmengine.fileio import list_from_file
    ids = list_from_file(dataset.ann_file, backend_args=dataset.backend_args)
    dataset.cat2label = {name: label for label, name in enumerate(job.classes)}
    records = []
    for found in _run(read_xml, job, ids, workers, f'{report.name}: annotations'):
        report.add(found)
        records += [found['record']] if 'record' in found else []
    return records


def _loader(pipeline: Iterable) -> Any:
    """The transform that reads label images, as the pipeline has it."""
    from mmengine.registry import TRANSFORMS
    for step in pipeline or ():
        if sources.type_name(step) == 'LoadAnnotations':
            return TRANSFORMS.build(dict(step))
    return TRANSFORMS.build(dict(type='LoadAnnotations'))


def _prepare(cfg: dict, decode: bool) -> _Job:
    """Build a data set that has not read anything yet."""
    from mmengine.registry import DATASETS
    cfg = dict(cfg)
    pipeline = cfg.pop('pipeline', ())
    dataset = DATASETS.build(dict(cfg, pipeline=[], lazy_init=True))
    # One list, read once, is as fast; and mmengine cannot serialize an empty one.
    dataset.serialize_data = False
    job = _Job(dataset, tuple(dataset.metainfo.get('classes') or ()), decode=decode,
               ignored=int(getattr(dataset, 'ignore_index', 255)),
               learned=not getattr(dataset, 'test_mode', False))
    if hasattr(dataset, 'seg_map_suffix') and hasattr(dataset, 'ignore_index'):
        job.loader = _loader(pipeline)
    return job


def _inspect_dataset(key: str, cfg: dict, report: Report, workers: int, decode: bool) -> None:
    """Read one data set into a report; what stops it becomes a problem of the report."""
    try:
        job = _prepare(cfg, decode)
        dataset = job.dataset
        records = _load(dataset, job, report, workers)
        dataset.load_data_list = lambda: list(records)
        dataset.full_init()
        # Some know their classes only now.
        job.classes = tuple(dataset.metainfo.get('classes') or ())
    except Exception as error:
        report.problems['data set'].append(f'{key}: {_reason(error)}')
        return
    count = len(dataset)
    if not records:
        report.problems['empty'].append(f'{key}: {_where_empty(dataset)}')
    if 'instances' in (records or [{}])[0]:
        report.notes['without boxes'] += sum(not record['instances'] for record in records)
        if getattr(dataset, '_indices', None) is None:
            report.notes['left out'] += len(records) - count
    infos = [dataset.get_data_info(number) for number in range(count)]
    # The list is with us now, and need not go to every worker.
    dataset.data_list = []
    report.kind = _kind(infos) or report.kind
    report.images += count
    job.dataset = None
    for name in job.classes:
        report.counts.setdefault(str(name), 0)
    for found in _run(inspect_record, job, infos, workers, f'{report.name}: images'):
        report.add(found)


def _kind(infos: Sequence[dict]) -> str:
    if not infos:
        return ''
    return ('pixels' if 'seg_map_path' in infos[0] else
            'boxes' if 'instances' in infos[0] else 'images')


def _where_empty(dataset: Any) -> str:
    suffix = getattr(dataset, 'img_suffix', '')
    if dataset.ann_file:
        return f'{dataset.ann_file} lists none'
    folder = (dataset.data_prefix or {}).get('img_path') or dataset.data_root
    return f'none in {folder}' + (f' ends in {suffix!r} (img_suffix)' if suffix else '')


def _count_epoch(name: str, cfg: dict, report: Report) -> None:
    """Images of an epoch, through all the wrappers of data sets that were found sound."""
    from mmengine.registry import DATASETS
    report.epoch = report.images
    if 'dataset' in cfg or 'datasets' in cfg:
        try:
            report.epoch = len(DATASETS.build(_without_pipeline(cfg)))
        except Exception as error:
            report.problems['data set'].append(f'{name}: {_reason(error)}')


def _without_pipeline(cfg: Any) -> Any:
    if isinstance(cfg, (list, tuple)):
        return [_without_pipeline(part) for part in cfg]
    if not hasattr(cfg, 'items'):
        return cfg
    plain = {key: _without_pipeline(value) if key in ('dataset', 'datasets') else value
             for key, value in cfg.items()}
    return {**plain, 'pipeline': []} if 'pipeline' in plain else plain


def inspect_split(name: str, cfg: dict, skip: Collection[str] = (), workers: int = 0,
                  decode: bool = False) -> Report:
    """Read all annotations of a data set config.

    Args:
        name (str): What to call it, such as 'train'.
        cfg (dict): The ``dataset`` of a data loader; wrappers are seen through.
        skip (Collection[str]): Data sets to leave out, such as 'dataset.datasets.1'. Defaults
            to ().
        workers (int): Processes; below 2 everything happens in this one. Defaults to 0.
        decode (bool): Whether to decode every image to the end. Defaults to False.

    Returns:
        Report: Counts, and all problems that were found. Of the annotations as training would
        see them: with ``label_map``, ``reduce_zero_label`` and ``filter_cfg`` applied.
    """
    report = Report(name)
    for key, part in sources.iter_datasets(cfg, 'dataset'):
        if key not in skip:
            _inspect_dataset(key, part, report, workers, decode)
    absent = [kind for kind, number in report.counts.items() if not number]
    if absent and len(absent) < len(report.counts):
        report.problems['no example'] += absent
    if not skip and not report.errors():
        _count_epoch(name, cfg, report)
    return report


def find_duplicates(train: Report, other: Report) -> list[str]:
    """The images, by real path, that two splits share."""
    return sorted(train.paths & other.paths)
