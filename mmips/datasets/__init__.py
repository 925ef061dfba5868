# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Datasets of mmips, for what mmpretrain and mmseg have no dataset type for.

The classes exist only where their toolbox is installed; :func:`find_classes` and
:func:`count_npz_classes` always do, so that a config can ask for classes while it is being parsed.
"""
from mmips.compat import has_package

from .folders import find_classes
from .npz import count_npz_classes

__all__ = ['count_npz_classes', 'find_classes']

if has_package('mmpretrain'):
    from .array_dataset import ArrayDataset
    from .base_array_dataset import BaseArrayDataset
    from .cifar_c_dataset import CIFARCDataset
    from .digits_dataset import DigitsDataset
    from .encoded_images import EncodedImages
    from .image_folder import ImageFolder
    from .images_on_device import ImagesOnDevice, whole_batch
    from .noisy_label_dataset import NoisyLabelDataset
    from .stanford_dogs import StanfordDogs

    __all__ += ['ArrayDataset', 'BaseArrayDataset', 'CIFARCDataset', 'DigitsDataset',
                'EncodedImages', 'ImageFolder', 'ImagesOnDevice', 'NoisyLabelDataset',
                'StanfordDogs', 'whole_batch']

if has_package('mmseg'):
    from .camvid_dataset import CamVidDataset
    from .rugd_dataset import RUGDDataset

    __all__ += ['CamVidDataset', 'RUGDDataset']
