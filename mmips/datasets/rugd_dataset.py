# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The RUGD off-road segmentation dataset, which mmseg lacks."""
from __future__ import annotations

import io
import os.path as osp
from collections.abc import Sequence
from typing import Any

from mmengine import fileio
from mmseg.datasets import BaseSegDataset
from PIL import Image

from mmips.registry import DATASETS

from .rugd_labels import COARSE, COARSE_COLOURS, COLOURS, FINE, LABELS, SPLITS

__all__ = ['RUGDDataset']

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
        ann_file: A text file, relative to ``data_root``, with a line 'video/name' for each image
            ('.png' may follow). Takes the place of ``split``. Defaults to '' (none).
        data_prefix: Folders of frames and labels, relative to ``data_root``. Defaults to
            ``dict(img_path='frames', seg_map_path='labels')``.
        metainfo: ``classes``, if given, takes the place of ``level``: names of coarse or fine
            classes, what is in none of them is ignored. Defaults to None.
        img_suffix: Defaults to '.png'.
        seg_map_suffix: Defaults to '.png'.
        **kwargs: Other arguments of mmseg's ``BaseSegDataset``: ``pipeline``, ``indices``, ...
            but not ``reduce_zero_label``: ``label_map`` sees to void.

    Raises:
        FileNotFoundError: If the list, a video, or the frame or label of an image is missing.
        ValueError: For an unknown level, split or class, an empty list, or unconverted labels.
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
                 seg_map_suffix: str = '.png',
                 **kwargs: Any) -> None:
        if level not in LEVELS:
            raise ValueError(f"level must be 'coarse' or 'fine', got {level!r}.")
        if split not in SPLITS and not (split is None and ann_file):
            raise ValueError(f"split must be 'train', 'val' or 'test' (None with an ann_file), got "
                             f'{split!r}.')
        if kwargs.get('reduce_zero_label'):  # some versions of mmseg shift before the label_map
            raise ValueError('reduce_zero_label=True would shift the ids besides label_map; leave '
                             "it False: level='fine' ignores void by itself.")
        self.level, self.split = level, split
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            metainfo=dict(classes=LEVELS[level]) | dict(metainfo or {}),
            data_root=osp.expanduser(data_root),
            data_prefix=dict(img_path='frames', seg_map_path='labels') | (data_prefix or {}),
            **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """For each published id the index of its class, coarse or fine; 255 where it has none."""
        if new_classes is None:
            return None
        label_map = dict.fromkeys(range(len(LABELS)), IGNORED)
        for index, name in enumerate(new_classes):
            if name not in COARSE and name not in COLOURS:
                raise ValueError(f'RUGD has no class {name!r}; coarse classes: '
                                 f'{", ".join(COARSE)}; fine: {", ".join(LABELS)}.')
            for label in map(LABELS.index, COARSE.get(name, (name, ))):
                if label_map[label] != IGNORED:
                    raise ValueError(f'{LABELS[label]!r} is in two of the classes '
                                     f'{", ".join(new_classes)}; it can be in one only.')
                label_map[label] = index
        return label_map

    def _update_palette(self) -> list:
        """The colours of the classes, where the user gives none."""
        colours = COLOURS | COARSE_COLOURS
        return self._metainfo.get('palette') or [
            list(colours[name]) for name in self._metainfo['classes']]

    def load_data_list(self) -> list[dict]:
        """Paths of the images in the list or, without one, in the videos of the split."""
        frames, labels = self.data_prefix['img_path'], self.data_prefix['seg_map_path']
        with_frame = self._find(frames, self.img_suffix)
        with_label = self._find(labels, self.seg_map_suffix)
        if self.ann_file:
            names = self._listed()
        else:
            videos = SPLITS[str(self.split)]
            names = sorted(name for name in with_frame | with_label if osp.dirname(name) in videos)
            self._refuse('images of videos', set(videos) - set(map(osp.dirname, names)))
        self._refuse('frames', set(names) - with_frame)
        # A conversion that was broken off must not become a smaller training set.
        self._refuse('labels', set(names) - with_label)
        self._check_label(osp.join(labels, names[0] + self.seg_map_suffix))
        return [dict(img_path=osp.join(frames, name + self.img_suffix),
                     seg_map_path=osp.join(labels, name + self.seg_map_suffix),
                     label_map=self.label_map,
                     reduce_zero_label=self.reduce_zero_label,
                     seg_fields=[]) for name in names]

    def _find(self, folder: str, suffix: str) -> set[str]:
        """Names of the files below a folder, as 'video/name'."""
        if not fileio.isdir(folder, backend_args=self.backend_args):
            return set()
        return {name.removesuffix(suffix) for name in fileio.list_dir_or_file(
            folder, list_dir=False, suffix=suffix, recursive=True, backend_args=self.backend_args)}

    def _listed(self) -> list[str]:
        lines = fileio.get_text(self.ann_file, backend_args=self.backend_args).split('\n')
        names = [line.strip().removesuffix(self.img_suffix) for line in lines if line.strip()]
        if not names:
            raise ValueError(f'The list {self.ann_file} is empty.')
        return names

    def _refuse(self, kind: str, missing: set[str]) -> None:
        if missing:
            raise FileNotFoundError(
                f'RUGD in {osp.abspath(self.data_root)}: {len(missing)} {kind} are missing, such '
                f'as {", ".join(sorted(missing)[:3])}. Download RUGD_frames-with-annotations.zip '
                f'and RUGD_annotations.zip from http://rugd.vision/, unpack both there and '
                f'{CONVERT} {self.data_root}')

    def _check_label(self, path: str) -> None:
        """Ids, not colours: mmseg would fail much later on the published files."""
        with Image.open(io.BytesIO(fileio.get(path, backend_args=self.backend_args))) as image:
            if image.mode not in ('L', 'P'):
                raise ValueError(f'{path} is no image of label ids (its mode is {image.mode}); '
                                 f'{CONVERT} {self.data_root}')
