# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

import os.path as osp
from typing import Any

import mat4py
import numpy as np
from mmpretrain.datasets import BaseDataset

from mmips.errors import check_choice
from mmips.registry import DATASETS

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
        **kwargs: Other arguments of mmpretrain's ``BaseDataset``: ``pipeline``, ``indices``, ...;
            ``test_mode`` is by default whether ``split`` is 'test'.

    Raises:
        FileNotFoundError: If the list, the image folder or the first image is missing.
        ValueError: For an unknown split or a list that is not of the published form.
    """

    def __init__(self, data_root: str = 'data/stanford_dogs', split: str = 'train',
                 ann_file: str = '', data_prefix: str | dict = 'Images', **kwargs: Any) -> None:
        check_choice('split', split, ('train', 'test'))
        data_root = osp.expanduser(data_root)
        default = f'{split}_list.mat'
        if osp.isfile(osp.join(data_root, 'lists', default)):
            default = osp.join('lists', default)
        kwargs.setdefault('test_mode', split == 'test')
        super().__init__(ann_file or default, data_root=data_root, data_prefix=data_prefix,
                         **kwargs)

    def load_data_list(self) -> list[dict]:
        """Paths and labels from the list."""
        self._require(self.ann_file)
        try:
            content = mat4py.loadmat(self.ann_file)  # comes with mmpretrain; SciPy may be missing
            files = np.ravel(content['file_list']).tolist()
            labels = np.ravel(content['labels']).astype(int).tolist()
            # 'n02085782-Japanese_spaniel/...' is the class 'Japanese spaniel'.
            breeds = dict(sorted(zip(labels, (file.split('/')[0] for file in files), strict=True)))
        except Exception as error:  # foreign bytes make the parser fail in many ways
            raise ValueError(f'{self.ann_file} is not a Stanford Dogs list ({error!r}). Take it '
                             f'from lists.tar of {URL}') from error
        self._metainfo.setdefault('classes', tuple(
            breed.split('-', 1)[-1].replace('_', ' ') for breed in breeds.values()))
        paths = [osp.join(self.img_prefix, file) for file in files]
        self._require(paths[0])
        return [dict(img_path=path, gt_label=label - 1) for path, label in zip(paths, labels)]

    def _require(self, path: str) -> None:
        if not osp.isfile(path):
            raise FileNotFoundError(
                f'{osp.abspath(path)} does not exist. Download images.tar and lists.tar from {URL} '
                f'and unpack both in {osp.abspath(self.data_root)}, or set data_root.')
