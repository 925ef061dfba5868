# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The data loader of a split, in order."""
from typing import Any


def build_loader(cfg: Any, split: str, max_images: int | None = None) -> Any:
    """The loader of a split that ``prepare_split`` has adapted, or of some images of it."""
    from mmengine.registry import DATASETS
    from mmengine.runner import Runner
    from mmengine.utils.dl_utils import set_multi_processing
    from torch.utils.data import Subset
    set_multi_processing(**cfg.get('env_cfg', {}).get('mp_cfg', {}))
    settings = cfg[f'{split}_dataloader']
    dataset = DATASETS.build(settings.dataset)
    if max_images and max_images < len(dataset):
        part: Any = Subset(dataset, spread(len(dataset), max_images))
        part.metainfo = dataset.metainfo
        dataset = part
    return Runner.build_dataloader({**settings.to_dict(), 'dataset': dataset}, seed=0)


def length(loader: Any, unknown: int) -> int:
    """Number of items of a loader or data set; streams have none."""
    try:
        return len(loader)
    except TypeError:
        return unknown


def spread(size: int, number: int) -> list[int]:
    """So many of the places 0 to ``size - 1``, or all: the middles of equal parts."""
    number = min(number, size)
    return [(2 * place + 1) * size // (2 * number) for place in range(number)]
