# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Image files to the network's input: mmpretrain's pipeline, and decoding whole batches."""
import functools
import os.path as osp
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import Compose, pseudo_collate
from mmpretrain.registry import DATASETS, MODELS, TRANSFORMS
from PIL import Image

from benchmarks.timing import Options, interleave, table

__all__ = ['run', 'write_photographs']

_NORMALIZE = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
_STEPS = {
    'training': [dict(type='RandomResizedCrop', scale=224), dict(type='RandomFlip', prob=0.5)],
    'evaluation': [dict(type='ResizeEdge', scale=256), dict(type='CenterCrop', crop_size=224)],
}


def run(options: Options) -> Iterator[str]:
    """Table of images a second, from files of ImageNet's usual size on the disk, in one process."""
    images = 2 if options.tiny else 32
    with tempfile.TemporaryDirectory() as folder:
        size = write_photographs(folder, images)
        inner = dict(type='CustomDataset', data_root=folder)
        rows = [_row(name, *pair, images, options) for name, pair in _pairs(inner, options)]
    yield table(f'JPEG files of 500x375 pixels, {size / 1000:.0f} kB, to inputs of 224x224: images '
                'a second', ['', 'mmpretrain', 'EncodedImages, DecodeDataPreprocessor', 'ratio'],
                rows)


def _pairs(inner: dict, options: Options) -> Iterator[tuple[str, tuple]]:
    """What is compared: theirs and ours."""
    files: Any = DATASETS.build(dict(type='mmips.EncodedImages', dataset=inner))
    every = range(len(files))
    cls, decode = (MODELS.build(dict(type=kind, **_NORMALIZE)).to(options.device) for kind in (
        'ClsDataPreprocessor', 'mmips.DecodeDataPreprocessor'))
    for name, steps in _STEPS.items():
        images: Any = DATASETS.build(inner)
        images.pipeline = Compose([TRANSFORMS.build(step) for step in (
            dict(type='LoadImageFromFile'), *steps, dict(type='PackInputs'))])
        load, read = (functools.partial(_load, images, every),
                      functools.partial(files.__getitems__, every))
        yield name, tuple(functools.partial(_prepare, *each, name == 'training') for each in (
            (cls, load), (decode, read)))
        if name == 'training':
            yield "of it, a worker's part", (load, read)


def _load(images: Any, every: Sequence[int]) -> Any:
    return pseudo_collate([images[index] for index in every])


def _prepare(preprocessor: Any, load: Callable[[], dict], training: bool) -> dict:
    return preprocessor(load(), training)


def _row(name: str, theirs: Callable[[], Any], ours: Callable[[], Any], images: int,
         options: Options) -> list[object]:
    seconds = interleave(dict(theirs=theirs, ours=ours), options.repeats(8), options, warm=False)
    speed = {kind: images / statistics.median(times) for kind, times in seconds.items()}
    return [name, speed['theirs'], speed['ours'], f'{speed["ours"] / speed["theirs"]:.2f}']


def write_photographs(folder: str, images: int) -> float:
    """Pictures whose detail falls off as a photograph's does; returns their mean size in bytes."""
    rng = np.random.default_rng(0)
    rows, columns = np.fft.fftfreq(375)[:, None, None], np.fft.fftfreq(500)[:, None]
    falling = 1 / np.maximum(np.hypot(rows, columns), 1 / 500) ** 1.2
    sizes = []
    for number in range(images):
        noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(375, 500, 3)), axes=(0, 1)) * falling,
                             axes=(0, 1)).real
        pixels = np.clip(128 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)
        path = Path(osp.join(folder, 'ab'[number % 2], f'{number}.jpg'))
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(path, quality=95)
        sizes.append(path.stat().st_size)
    return statistics.mean(sizes)
