# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Data loaders whose samples name themselves where they are wrong."""
from typing import Any

from mmips.config.data_checks import head_classes
from mmips.errors import UserError


def build_loops(runner: Any, fields: tuple[str, ...]) -> None:
    """Build a Runner's loops of these data loaders; what is wrong with their data is a UserError.

    At once for annotations; for an image when it is read.
    """
    from mmips.datasets.named_samples import name_samples
    from mmips.datasets.watching import watch_annotations
    with watch_annotations():
        for field in fields:
            # The Runner builds a loop, with its data loader, where it is first asked for it.
            loop = getattr(runner, field.replace('_dataloader', '_loop'))
            if loop is not None:
                name_samples(loop.dataloader.dataset, head_classes(runner.cfg))
                if not length(loop.dataloader, 1):
                    raise UserError(
                        f'{field}.batch_size={loop.dataloader.batch_size}: drop_last leaves out '
                        'every batch that is not full, and there is none of '
                        f'{len(loop.dataloader.dataset)} images. Make it smaller.')


def build_loader(cfg: Any, split: str, max_images: int | None = None) -> Any:
    """The loader of a split that ``prepare_split`` has adapted, or of some images of it."""
    from mmengine.registry import DATASETS
    from mmengine.runner import Runner
    from mmengine.utils.dl_utils import set_multi_processing
    from torch.utils.data import Subset

    from mmips.datasets.named_samples import name_samples
    from mmips.datasets.watching import watch_annotations
    set_multi_processing(**cfg.get('env_cfg', {}).get('mp_cfg', {}))
    settings = cfg[f'{split}_dataloader']
    with watch_annotations():
        dataset = DATASETS.build(settings.dataset)
    name_samples(dataset, head_classes(cfg))
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
