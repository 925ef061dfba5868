# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

import os.path as osp
from typing import Any

from mmengine.logging import print_log
from mmpretrain.datasets import BaseDataset

from mmips.errors import check_choice
from mmips.registry import DATASETS

from . import folders


@DATASETS.register_module()
class ImageFolder(BaseDataset):
    """Images in one folder for each class, with a validation set split off if there is none.

    The layout is ``root/<class>/**/*.jpg``, or ``root/train/<class>`` and ``root/val/<class>``.
    Without ``root/val`` a share of the images of each class is the validation set, chosen by
    ``seed`` and the relative paths alone; a class of two or more images has at least one on each
    side, a single image is for training. Labels follow the sorted folder names.

    Args:
        data_root: The folder described above, or its URL in an object store, such as
            's3://bucket/images', which is reached by fsspec's own settings, such as the
            environment variable ``FSSPEC_S3_ENDPOINT_URL``.
        split: 'train' or 'val'. Defaults to 'train'.
        val_fraction: Share of the images of a class to validate on, between 0 and 1; unused
            where ``root/val`` exists. Defaults to 0.2.
        seed: Seed of the split; give both splits the same one. Defaults to 0.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``; ``classes`` are the folder
            names in another order.

    Raises:
        FileNotFoundError: If the folder is missing.
        ValueError: If class folders are too few, empty, differ from ``classes`` or between train
            and val, or for bad arguments.
    """

    def __init__(self, data_root: str, split: str = 'train', val_fraction: float = 0.2,
                 seed: int = 0, **kwargs: Any) -> None:
        check_choice('split', split, ('train', 'val'))
        if not 0 < val_fraction < 1:
            raise ValueError(f'val_fraction must lie between 0 and 1, got {val_fraction!r}.')
        self.split, self.val_fraction, self.seed = split, val_fraction, seed
        # Left over from an inherited config, these would be ignored, and train equal val.
        unused = {key: kwargs.pop(key, '') for key in ('ann_file', 'data_prefix')}
        if any(unused.values()):
            raise ValueError(f'ImageFolder finds its images by data_root and split, got {unused}. '
                             "Set both to '', or add _delete_=True to the dataset's config.")
        super().__init__('', data_root=osp.expanduser(data_root), **kwargs)

    def load_data_list(self) -> list[dict]:
        """Paths and labels of this split."""
        names = folders.find_classes(self.data_root)
        train, val = (folders.class_root(self.data_root, split) for split in ('train', 'val'))
        classes = self._metainfo.setdefault('classes', tuple(names))
        _check_same(names, sorted(classes), 'the class folders and the option classes')
        _check_same(names, folders.visible_folders(val), f'train and val of {self.data_root}')
        root = train if self.split == 'train' else val
        others: list[str] = []
        images = {name: folders.list_images(root, name, others) for name in names}
        empty = [name for name, paths in images.items() if not paths]
        if empty:
            raise ValueError(f'No images in the class folders {empty} of {root.absolute()}. Fill '
                             f'or remove them (images end in {", ".join(folders.IMAGE_SUFFIXES)}).')
        if others:
            print_log(f'ImageFolder ({root}) leaves out {len(others)} files that do not end in '
                      f'{", ".join(folders.IMAGE_SUFFIXES)}, such as {min(others)}.', 'current')
        if train == val:
            images = {name: folders.split_validation(paths, self.val_fraction, self.seed)[
                self.split == 'val'] for name, paths in images.items()}
        labels = {name: label for label, name in enumerate(classes)}
        return [dict(img_path=str(root / path), gt_label=labels[name])
                for name, paths in images.items() for path in paths]


def _check_same(first: list[str], second: list[str], between: str) -> None:
    if first != second:
        raise ValueError(f'{between} differ: only the first have '
                         f'{sorted(set(first) - set(second))}, only the second '
                         f'{sorted(set(second) - set(first))}. Both must name the same classes.')
