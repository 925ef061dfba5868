# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""While data sets are built: files that cannot be read are named, and what is left out is told."""
import contextlib
import functools
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.fileio import list_dir_or_file
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from mmips.errors import UserError

from .files import LOOK, fault, is_remote, printable, reason

# Of the classes that are not known so many are named.
_SHOWN = 10


@contextlib.contextmanager
def watch_annotations() -> Iterator[None]:
    """Within it, a data set that cannot be read is a UserError that names the file.

    What mmdet leaves out goes to the log, counted: boxes of classes that the data set does not
    name, and images by its ``filter_cfg``.
    """
    kinds: list[Any] = [BaseDataset]
    scope = DefaultScope.get_current_instance()
    if scope is not None and scope.scope_name == 'mmdet':
        # It does all by itself.
        from mmdet.datasets import BaseDetDataset
        kinds.append(BaseDetDataset)
    own = {kind: vars(kind)['full_init'] for kind in kinds}
    for kind, full_init in own.items():
        kind.full_init = functools.partialmethod(_read, full_init)
    try:
        yield
    finally:
        for kind, full_init in own.items():
            kind.full_init = full_init


def _read(dataset: Any, full_init: Any) -> None:
    """What ``full_init`` does, with an eye on the steps that a data set does it in."""
    if dataset._fully_initialized:
        return
    watch = _Watch(dataset)
    # VOC's format has a file for each image, COCO's one for all.
    steps = ['filter_data', *(['parse_data_info', '_parse_instance_info'] if hasattr(
        dataset, 'ann_subdir') else []), *(['COCOAPI'] if hasattr(dataset, 'COCOAPI') else [])]
    vars(dataset).update({step: getattr(watch, step) for step in steps})
    try:
        full_init(dataset)
    except UserError:
        raise
    except Exception as error:  # whatever a file may hold
        if isinstance(error, ValueError) and watch.place in str(error) or isinstance(
                error, (OSError, RuntimeError)) and not getattr(error, 'filename', None):
            raise  # it says where by itself, or is no matter of files but of a download
        raise UserError(watch.explain(error)) from error
    finally:
        for step in steps:
            del vars(dataset)[step]
    watch.report()


class _Watch:
    """Steps of a data set by their names, done by its class."""

    def __init__(self, dataset: Any) -> None:
        self.dataset, self.file = dataset, dataset.ann_file
        self.place = dataset.ann_file or (dataset.data_prefix or {}).get(
            'img_path') or dataset.data_root or ''
        self.unknown: Counter[str] = Counter()
        self.before = self.after = 0

    def _own(self, step: str, *args: Any) -> Any:
        return getattr(type(self.dataset), step)(self.dataset, *args)

    def filter_data(self) -> list:
        self.before = len(self.dataset.data_list)
        kept = self._own('filter_data')
        self.after = len(kept)
        if not kept:
            why = (f'all {self.before} images are left out by its filter_cfg' if self.before else
                   'it has no image')
            raise UserError(f'{self._name()}: {why}. Correct its folders, its list, img_suffix, '
                            f'classes or filter_cfg ({LOOK}).')
        return kept

    def parse_data_info(self, info: dict) -> Any:
        self.file = info['xml_path']
        return self._own('parse_data_info', info)

    def _parse_instance_info(self, tree: Any, *args: Any, **kwargs: Any) -> Any:
        self._count(each.findtext('name') or '' for each in tree.findall('object'))
        return type(self.dataset)._parse_instance_info(self.dataset, tree, *args, **kwargs)

    def COCOAPI(self, path: str) -> Any:  # noqa: N802
        coco = type(self.dataset).COCOAPI(path)
        names = {each['id']: each['name'] for each in coco.dataset['categories']}
        if set(names.values()) - set(self.dataset.metainfo['classes']):
            self._count(names.get(each['category_id'], '')
                        for each in coco.dataset['annotations'])
        return coco

    def _count(self, names: Any) -> None:
        known = self.dataset._metainfo['classes']
        self.unknown.update(name for name in names if name not in known)

    def _name(self) -> str:
        return f'{type(self.dataset).__name__} ({printable(self.place)})'

    def explain(self, error: Exception) -> str:
        """What has failed, and on which file."""
        file = getattr(error, 'filename', None) or self.file
        what, where = fault(file) if file else '', printable(file) if file else self._name()
        return (f'{where} {what}' if what else f'{where} cannot be read ({reason(error)})') + (
            f': put it right or leave it out ({LOOK}).')

    def report(self) -> None:
        """Tell what is left out."""
        said = []
        if self.unknown:
            names = [f'{name!r} ({number})' for name, number in self.unknown.most_common(_SHOWN)]
            more = f' and {len(self.unknown) - _SHOWN} more' if len(self.unknown) > _SHOWN else ''
            said.append(f'{self.unknown.total()} boxes of classes that its metainfo does not '
                        f'name: {", ".join(names)}{more}')
        if self.after < self.before:
            said.append(f'{self.before - self.after} of {self.before} images, without a box or '
                        'too small for its filter_cfg')
        suffix = getattr(self.dataset, 'img_suffix', None)
        if suffix and not self.dataset.ann_file and not is_remote(self.place):
            others = [name for name in list_dir_or_file(self.place, list_dir=False, recursive=True)
                      if not name.endswith(suffix)]
            if others:
                said.append(f'{len(others)} files that do not end in its img_suffix {suffix!r}, '
                            f'such as {printable(min(others))}')
        if said:
            print_log(f'{self._name()} leaves out {"; and ".join(said)}.', 'current',
                      logging.WARNING if self.unknown else logging.INFO)
