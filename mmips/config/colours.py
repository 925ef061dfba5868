# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The order of an image's colours, 'bgr' or 'rgb', in one split ('test', 'val' or 'train').

mmcv reads files as BGR, which the data preprocessor turns round where it is told to. Sets of
arrays, such as CIFAR, are RGB and left alone.
"""
from collections.abc import Mapping

from mmips.config.sources import iter_datasets, type_name
from mmips.config.structure import find_preprocessor


def pipeline_order(cfg: Mapping, split: str) -> str:
    """The order between loading and packing; of several data sets in a wrapper the first counts."""
    return 'bgr' if _from_files(cfg, split) or reverses(cfg) else 'rgb'


def network_order(cfg: Mapping, split: str) -> str:
    """The order in which the network gets the colours."""
    return 'bgr' if _from_files(cfg, split) and not reverses(cfg) else 'rgb'


def _from_files(cfg: Mapping, split: str) -> bool:
    dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
    _, data = next(iter_datasets(dataset, ''), ('', {}))
    return type_name(dataset) == 'EncodedImages' or any(
        type_name(step).startswith('LoadImage') for step in data.get('pipeline') or ())


def reverses(cfg: Mapping) -> bool:
    """Whether the data preprocessor turns the colours round."""
    preprocessor = find_preprocessor(cfg)
    # mmpretrain's name for it, and mmengine's, mmseg's and mmdet's.
    return bool(preprocessor.get('to_rgb') or preprocessor.get('bgr_to_rgb'))
