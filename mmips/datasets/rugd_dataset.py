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

# mmseg's value for pixels that neither loss nor metric counts; its own label maps hold it too.
IGNORED = 255
LEVELS: dict[str, tuple[str, ...]] = {'coarse': tuple(COARSE), 'fine': FINE}
CONVERT = 'python tools/dataset_converters/rugd.py'


@DATASETS.register_module()
class RUGDDataset(BaseSegDataset):
    """RUGD: outdoor videos from a small robot, 688x550 pixels, 24 classes and void.

    One converted folder serves both levels. ``tools/dataset_converters/rugd.py`` makes it from
    the published archives; the label images hold the published ids 0 (void) to 24::

        data/rugd/
            frames/creek/creek_00001.png ...
            labels/creek/creek_00001.png ...

    While loading, mmseg maps these ids to classes by ``label_map``: 'coarse' joins them into
    smooth, rough, bumpy, forbidden, obstacle and background (0..5, void is background), 'fine'
    makes dirt ... picnic-table 0..23 and void 255, which is ignored.

    Source: M. Wigness et al., IROS 2019, http://rugd.vision/; coarse classes from the IPS paper,
    Table 7.

    Args:
        data_root: The folder described above. Defaults to 'data/rugd'.
        level: 'coarse' or 'fine'. Defaults to 'coarse'.
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
        reduce_zero_label: Only False (default): ``label_map`` sees to void.
        **kwargs: Other arguments of mmseg's ``BaseSegDataset``: ``pipeline``, ``indices``, ...

    Raises:
        FileNotFoundError: If the list, a video, or the frame or label of a listed image is
            missing, or a frame of the split has no label.
        ValueError: For an unknown level, split or class, an empty list, or label images that were
            not converted.
    """

    #: What the label images hold; :attr:`metainfo` names the classes of the level.
    METAINFO = dict(classes=LABELS, palette=[list(colour) for colour in COLOURS.values()])

    def __init__(self,
                 data_root: str = 'data/rugd',
                 level: str = 'coarse',
                 split: str | None = 'train',
                 ann_file: str = '',
                 data_prefix: dict | None = None,
                 metainfo: dict | None = None,
                 img_suffix: str = '.png',
                 seg_map_suffix: str = '.png',
                 reduce_zero_label: bool = False,
                 **kwargs: Any) -> None:
        if level not in LEVELS:
            raise ValueError(f"level must be 'coarse' or 'fine', got {level!r}.")
        if split not in SPLITS and not (split is None and ann_file):
            raise ValueError(f"split must be 'train', 'val' or 'test' (None with an ann_file), got "
                             f'{split!r}.')
        if reduce_zero_label:
            raise ValueError(
                # Some versions of mmseg shift the ids before, others after label_map.
                'reduce_zero_label=True would shift the ids besides label_map, and every class '
                "would be wrong; leave it False: level='fine' ignores void by itself.")
        self.level, self.split = level, split
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            metainfo=_complete(metainfo, level),
            data_root=osp.expanduser(data_root),
            data_prefix=dict(img_path='frames', seg_map_path='labels') | (data_prefix or {}),
            reduce_zero_label=False,
            **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """The map from published ids to indices of ``new_classes``.

        mmseg's own knows subsets of classes, but no classes that join others.

        Args:
            new_classes: Names of coarse classes, of published labels, or of both as long as they
                do not overlap. Defaults to None.

        Returns:
            For each id 0..24 the index of its class, 255 where it has none; None without classes.

        Raises:
            ValueError: If a class is unknown, or two hold the same label.
        """
        if new_classes is None:
            return None
        label_map = dict.fromkeys(range(len(LABELS)), IGNORED)
        for index, name in enumerate(new_classes):
            if name not in COARSE and name not in COLOURS:
                raise ValueError(f'RUGD has no class {name!r}; coarse classes: '
                                 f'{", ".join(COARSE)}; fine: {", ".join(LABELS)}.')
            for label in COARSE.get(name, (name, )):
                label_id = LABELS.index(label)
                if label_map[label_id] != IGNORED:
                    raise ValueError(f'{label!r} is in two of the classes '
                                     f'{", ".join(new_classes)}; it can be in one only.')
                label_map[label_id] = index
        return label_map

    def load_data_list(self) -> list[dict]:
        """Paths of the images in the list or, without one, in the videos of the split."""
        names = self._listed() if self.ann_file else self._in_split()
        root, labels = self.data_prefix['img_path'], self.data_prefix['seg_map_path']
        self._check_label(osp.join(labels, names[0] + self.seg_map_suffix))
        return [dict(img_path=osp.join(root, name + self.img_suffix),
                     seg_map_path=osp.join(labels, name + self.seg_map_suffix),
                     label_map=self.label_map,
                     reduce_zero_label=self.reduce_zero_label,
                     seg_fields=[]) for name in names]

    def _listed(self) -> list[str]:
        """Names in ``ann_file``, all of which must be there."""
        if not fileio.isfile(self.ann_file, backend_args=self.backend_args):
            raise FileNotFoundError(
                f"The list {self.ann_file} does not exist; it must hold a line 'video/name' for "
                "each image. For a published split leave ann_file out and set split='train', "
                "'val' or 'test'.")
        lines = fileio.get_text(self.ann_file, backend_args=self.backend_args).splitlines()
        names = [line.strip().removesuffix(self.img_suffix) for line in lines if line.strip()]
        if not names:
            raise ValueError(f'The list {self.ann_file} is empty.')
        videos = {osp.dirname(name) for name in names}
        frames, labels = self._names(videos)
        self._refuse(f'images in {self.ann_file}, but no frame', set(names) - frames)
        self._refuse(f'images in {self.ann_file}, but no label', set(names) - labels)
        return names

    def _in_split(self) -> list[str]:
        """Names in the videos of the split; frames and labels must be the same."""
        frames, labels = self._names(SPLITS[str(self.split)])
        self._refuse('labels without a frame', labels - frames)
        # A conversion that was broken off must not become a smaller training set.
        self._refuse('frames without a label', frames - labels)
        return sorted(labels)

    def _names(self, videos: Sequence[str] | set[str]) -> tuple[set[str], set[str]]:
        """Which images of some videos have a frame, and which have a label."""
        return (self._scan(self.data_prefix['img_path'], self.img_suffix, videos),
                self._scan(self.data_prefix['seg_map_path'], self.seg_map_suffix, videos))

    def _scan(self, folder: str, suffix: str, videos: Sequence[str] | set[str]) -> set[str]:
        names: set[str] = set()
        for video in sorted(videos):
            path = osp.join(folder, video)
            if not fileio.isdir(path, backend_args=self.backend_args):
                raise FileNotFoundError(f'RUGD: the folder {osp.abspath(path)} does not exist. '
                                        + self._advice())
            files = list(fileio.list_dir_or_file(
                path, list_dir=False, suffix=suffix, backend_args=self.backend_args))
            if not files:
                raise FileNotFoundError(f'RUGD: no {suffix} file in {osp.abspath(path)}. '
                                        + self._advice())
            names.update(osp.join(video, file.removesuffix(suffix)) for file in files)
        return names

    def _refuse(self, what: str, names: set[str]) -> None:
        if names:
            first = ', '.join(sorted(names)[:3])
            raise FileNotFoundError(
                f'RUGD in {self.data_root}: {len(names)} {what}, such as {first}. '
                + self._advice())

    def _advice(self) -> str:
        return ('Download RUGD_frames-with-annotations.zip and RUGD_annotations.zip from '
                f'http://rugd.vision/, unpack both in {self.data_root} and run (again, if it was '
                f'broken off): {CONVERT} {self.data_root}')

    def _check_label(self, path: str) -> None:
        """Ids, not colours: mmseg would fail much later on the published files."""
        with Image.open(io.BytesIO(fileio.get(path, backend_args=self.backend_args))) as image:
            if image.mode not in ('L', 'P'):
                raise ValueError(
                    f'{path} is no image of label ids (its mode is {image.mode}); the published '
                    f'colours must be converted first: {CONVERT} {self.data_root}')


def _complete(metainfo: dict | None, level: str) -> dict:
    """Metainfo with classes, those of the level if there are none, and their colours."""
    info = dict(metainfo or {})
    classes = info.get('classes', LEVELS[level])
    if isinstance(classes, str):  # the path of a list, as in every mmengine dataset
        classes = fileio.get_text(classes).split()
    info['classes'] = tuple(classes)
    RUGDDataset.get_label_map(info['classes'])  # before an unknown name has no colour
    colours = COLOURS | COARSE_COLOURS
    info.setdefault('palette', [list(colours[name]) for name in info['classes']])
    return info
