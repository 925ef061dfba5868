# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any

from mmengine import fileio
from mmseg.datasets import BaseSegDataset

from mmips.errors import check_choice
from mmips.registry import DATASETS

from .rugd_labels import COARSE, COARSE_COLOURS, COLOURS, FINE, LABELS, SPLITS

IGNORED = 255  # mmseg's value for pixels that neither loss nor metric counts
LEVELS: dict[str, tuple[str, ...]] = {'coarse': tuple(COARSE), 'fine': FINE}
CONVERT = 'run (again): python tools/dataset_converters/rugd.py'


@DATASETS.register_module()
class RUGDDataset(BaseSegDataset):
    """RUGD: outdoor videos from a small robot, 688x550 pixels, 24 classes and void.

    ``tools/dataset_converters/rugd.py`` makes ``frames/<video>/<name>.png`` and
    ``labels/<video>/<name>.png``, of the published ids 0 (void) to 24, from the archives; while
    loading, mmseg maps ids to the classes of the level by ``label_map``.

    Source: M. Wigness et al., IROS 2019, http://rugd.vision/; coarse classes from the IPS paper,
    Table 7.

    Args:
        data_root: The converted folder. Defaults to 'data/rugd'.
        level: 'coarse': smooth, rough, bumpy, forbidden, obstacle and background (0..5, void is
            background); 'fine': dirt ... picnic-table (0..23, void is 255, which is ignored).
            Defaults to 'coarse'.
        split: 'train', 'val' or 'test' of the published split, which is by video. Defaults to
            'train'.
        ann_file: A text file, relative to ``data_root``, with a line 'video/name' for each
            image. Takes the place of ``split``. Defaults to '' (none).
        data_prefix: Folders of frames and labels, relative to ``data_root``. Defaults to
            ``dict(img_path='frames', seg_map_path='labels')``.
        metainfo: ``classes``, if given, takes the place of ``level``: names of coarse or fine
            classes, what is in none of them is ignored. Defaults to None.
        img_suffix: Defaults to '.png'.
        **kwargs: Other arguments of mmseg's ``BaseSegDataset``: ``pipeline``, ``indices``, ...
            but not ``reduce_zero_label``: ``label_map`` sees to void.

    Raises:
        FileNotFoundError: If a video, or the frame or label of an image is missing.
        ValueError: For an unknown level, split or class.
    """

    #: What the label images hold; :attr:`metainfo` names the classes of the level.
    METAINFO = dict(classes=LABELS)

    def __init__(self,
                 data_root: str = 'data/rugd',
                 level: str = 'coarse',
                 split: str | None = 'train',
                 ann_file: str = '',
                 data_prefix: dict | None = None,
                 metainfo: dict | None = None,
                 img_suffix: str = '.png',
                 **kwargs: Any) -> None:
        check_choice('level', level, LEVELS)
        if not ann_file:
            check_choice('split', split, SPLITS)
        if kwargs.get('reduce_zero_label'):  # some versions of mmseg shift before the label_map
            raise ValueError('reduce_zero_label=True would shift the ids besides label_map; leave '
                             "it False: level='fine' ignores void by itself.")
        self.level, self.split = level, split
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            metainfo=dict(classes=LEVELS[level]) | dict(metainfo or {}),
            data_root=osp.expanduser(data_root),
            data_prefix=dict(img_path='frames', seg_map_path='labels') | (data_prefix or {}),
            **kwargs)
        # mmseg's confusion_matrix.py and browse_dataset.py take their classes from here.
        self.METAINFO = self.metainfo

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """For each published id the index of its class, coarse or fine; 255 where it has none."""
        if new_classes is None:
            return None
        unknown = [name for name in new_classes if name not in COARSE and name not in COLOURS]
        parts = [label for name in new_classes for label in COARSE.get(name, (name, ))]
        if unknown or len(set(parts)) < len(parts):
            raise ValueError(f'RUGD has no class {unknown}, or one is in two, among {new_classes}; '
                             f'coarse classes: {", ".join(COARSE)}; fine: {", ".join(LABELS)}.')
        label_map = dict.fromkeys(range(len(LABELS)), IGNORED)
        return label_map | {LABELS.index(label): index for index, name in enumerate(new_classes)
                            for label in COARSE.get(name, (name, ))}

    def _update_palette(self) -> list:
        """The colours of the classes, where the user gives none."""
        colours = COLOURS | COARSE_COLOURS
        return self._metainfo.get('palette') or [
            list(colours[name]) for name in self._metainfo['classes']]

    def load_data_list(self) -> list[dict]:
        """Paths of the images in the list or, without one, in the videos of the split."""
        frames, args = self.data_prefix['img_path'], dict(backend_args=self.backend_args)
        records = super().load_data_list() if self.ann_file or fileio.isdir(frames, **args) else []
        missing: set[str] = set()
        if not self.ann_file:
            videos = {osp.join(frames, video) for video in SPLITS[str(self.split)]}
            records = [each for each in records if osp.dirname(each['img_path']) in videos]
            missing = videos - {osp.dirname(each['img_path']) for each in records}
        # A conversion that was broken off must not become a smaller training set.
        missing.update(each[key] for each in records for key in ('img_path', 'seg_map_path')
                       if not fileio.exists(each[key], **args))
        if missing or not records:
            raise FileNotFoundError(
                f'RUGD in {osp.abspath(self.data_root)}: {len(missing)} files of {len(records)} '
                f'images are missing, such as {", ".join(sorted(missing)[:3])}. Download '
                'RUGD_frames-with-annotations.zip and RUGD_annotations.zip from '
                f'http://rugd.vision/, unpack both there and {CONVERT} {self.data_root}')
        return records
