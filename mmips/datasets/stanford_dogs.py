# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The Stanford Dogs dataset, which mmpretrain lacks."""
from __future__ import annotations

import os.path as osp
from typing import Any

import mat4py
import numpy as np
from mmpretrain.datasets import BaseDataset

from mmips.registry import DATASETS

__all__ = ['StanfordDogs']

URL = 'http://vision.stanford.edu/aditya86/ImageNetDogs/'


@DATASETS.register_module()
class StanfordDogs(BaseDataset):
    """Stanford Dogs: 120 breeds, 12,000 training and 8,580 test images.

    Unpack ``images.tar`` and ``lists.tar`` from
    http://vision.stanford.edu/aditya86/ImageNetDogs/ into one folder, which then holds
    ``Images/n02085620-Chihuahua/...``, ``train_list.mat`` and ``test_list.mat``; the lists may
    also lie in ``lists/``. Classes are in the order of the published labels (which start at 1,
    ours at 0) and named after the folders: 'Chihuahua', 'Japanese spaniel', ...

    Source: A. Khosla, N. Jayadevaprakash, B. Yao and L. Fei-Fei, Novel Dataset for Fine-Grained
    Image Categorization, FGVC workshop at CVPR 2011.

    Args:
        data_root: The folder described above. Defaults to 'data/stanford_dogs'.
        split: 'train' or 'test'. Defaults to 'train'.
        ann_file: Another list file, relative to ``data_root``. Defaults to '' (the list of
            ``split``).
        data_prefix: The folder of the images, relative to ``data_root``. Defaults to 'Images'.
        test_mode: Defaults to None: whether ``split`` is 'test'.
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``: ``pipeline``, ``indices``, ...

    Raises:
        FileNotFoundError: If the list, the image folder or the first image is missing.
        ValueError: For an unknown split or a list that is not of the published form.
    """

    def __init__(self,
                 data_root: str = 'data/stanford_dogs',
                 split: str = 'train',
                 ann_file: str = '',
                 data_prefix: str | dict = 'Images',
                 test_mode: bool | None = None,
                 **kwargs: Any) -> None:
        if split not in ('train', 'test'):
            raise ValueError(f"split must be 'train' or 'test', got {split!r}.")
        self.split = split
        data_root = osp.expanduser(data_root)
        nested = osp.join('lists', f'{split}_list.mat')
        default = nested if osp.isfile(osp.join(data_root, nested)) else f'{split}_list.mat'
        super().__init__(
            ann_file or default,
            data_root=data_root,
            data_prefix=data_prefix,
            test_mode=split == 'test' if test_mode is None else test_mode,
            **kwargs)

    def load_data_list(self) -> list[dict]:
        """Paths and labels from the list."""
        self._require(self.ann_file)
        files, labels = _read_list(self.ann_file)
        self._metainfo.setdefault('classes', _class_names(files, labels, self.ann_file))
        paths = [osp.join(self.img_prefix, file) for file in files]
        self._require(paths[0])
        return [dict(img_path=path, gt_label=label - 1) for path, label in zip(paths, labels)]

    def _require(self, path: str) -> None:
        if not osp.isfile(path):
            raise FileNotFoundError(
                f'{osp.abspath(path)} does not exist. Download images.tar and lists.tar from {URL} '
                f'and unpack both in {osp.abspath(self.data_root)}, or set data_root.')


def _read_list(path: str) -> tuple[list[str], list[int]]:
    """Image paths below ``Images`` and labels from 1, as published."""
    try:
        content = mat4py.loadmat(path)  # comes with mmpretrain; SciPy may be missing
        files = np.ravel(content['file_list']).tolist()
        labels = np.ravel(content['labels']).astype(int).tolist()
    except Exception as error:  # foreign bytes make the parser fail in many ways
        raise ValueError(f'{path} is not a Stanford Dogs list ({error!r}). Take it from '
                         f'lists.tar of {URL}') from error
    if not files or len(files) != len(labels):
        raise ValueError(f'{path} must name one label for each image, got {len(files)} images '
                         f'and {len(labels)} labels.')
    return files, labels


def _class_names(files: list[str], labels: list[int], path: str) -> tuple[str, ...]:
    """Readable class names: 'n02085782-Japanese_spaniel/...' gives 'Japanese spaniel'."""
    pairs = {(label, file.split('/')[0]) for file, label in zip(files, labels)}
    numbers, folders = zip(*sorted(pairs))
    if numbers != tuple(range(1, len(folders) + 1)):
        raise ValueError(f'{path}: labels must run from 1 to the number of breeds, each with one '
                         f'folder and without a gap, got {numbers}.')
    return tuple(folder.split('-', 1)[-1].replace('_', ' ') for folder in folders)
