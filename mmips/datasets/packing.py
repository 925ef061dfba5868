# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Images of one size in arrays, as ``mmips.ArrayDataset`` reads them."""
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.dataset import Compose
from mmpretrain.registry import DATASETS, TRANSFORMS
from rich.progress import track
from torch.utils.data import DataLoader

from mmips.errors import UserError

from .labels import get_labels
from .named_samples import leaves, name_samples

# They hand out whole batches of what they wrap.
_WRAPPERS = ('EncodedImages', 'ImagesOnDevice')


def pack(datasets: Mapping[str, dict], size: int, workers: int = 0) -> dict[str, np.ndarray]:
    """Read data sets once, every image scaled by its shorter edge and cut to its middle.

    A file is read as the data set's own pipeline would read it. Scaled bicubically, with
    smoothing. Memory: the result and a few batches.

    Args:
        datasets (Mapping[str, dict]): Configs of mmpretrain data sets, by the name of the split.
        size (int): Height and width of the result, in pixels.
        workers (int): Processes that read. Default: 0, this one.

    Returns:
        dict[str, ndarray]: ``images_<split>``, uint8 RGB (N, size, size, 3), ``labels_<split>``,
        int64 (N,), and ``classes``, the names, if there are any.

    Raises:
        UserError: For a file that cannot be read, and for splits of different classes.
    """
    arrays: dict[str, np.ndarray] = {}
    names: dict[str, Any] = {}
    for split, cfg in datasets.items():
        dataset = _build(cfg, size)
        names[split] = dataset.metainfo.get('classes')
        labels = arrays[f'labels_{split}'] = get_labels(dataset)[0]
        images = arrays[f'images_{split}'] = np.empty((len(labels), size, size, 3), np.uint8)
        batch = 32
        loader = DataLoader(dataset, batch, num_workers=workers, collate_fn=_stack)
        for number, some in enumerate(track(loader, f'{split}: {len(labels):,} images')):
            images[batch * number:batch * (number + 1)] = some
    classes, *others = names.values()
    if any(other != classes for other in others):
        raise UserError(f'The splits {list(names)} have different classes, but one file holds one '
                        'list of names: pack them into a file each.')
    return arrays if classes is None else {**arrays, 'classes': np.array(classes, str)}


def _build(cfg: dict, size: int) -> Any:
    """The data set with a pipeline that ends in an RGB ``img`` of the size."""
    while str(cfg['type']).rpartition('.')[2] in _WRAPPERS:
        cfg = cfg['dataset']
    dataset: Any = DATASETS.build(cfg)
    dataset.full_init()
    steps = [TRANSFORMS.build(step) for step in (
        dict(type='ResizeEdge', scale=size, backend='pillow', interpolation='bicubic'),
        dict(type='CenterCrop', crop_size=size))]
    for part in leaves(dataset):
        load: list = []
        # Arrays are RGB, OpenCV reads BGR.
        if 'img' not in part.get_data_info(0):
            own = [step for step in part.pipeline.transforms
                   if type(step).__name__.startswith('LoadImage')]
            load = [*(own or [TRANSFORMS.build(dict(type='LoadImageFromFile'))]), _to_rgb]
        part.pipeline = Compose([*load, *steps])
    name_samples(dataset)
    return dataset


def _to_rgb(data: dict) -> dict:
    image = data['img']
    # Read as grey, it has no channels.
    image = np.dstack([image] * 3) if image.ndim == 2 else np.ascontiguousarray(image[..., ::-1])
    return dict(data, img=image)


def _stack(samples: list[dict]) -> np.ndarray:
    return np.stack([sample['img'] for sample in samples])
