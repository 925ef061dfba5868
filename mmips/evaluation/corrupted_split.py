# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A split of a classification config, its images corrupted."""
import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmips.config import sources
from mmips.config.colours import pipeline_order
from mmips.datasets.transforms import CorruptImage
from mmips.errors import UserError
from mmips.runs import loaders
from mmips.visualization import denormalize

__all__ = ['CLEAN', 'Condition', 'CorruptedSplit', 'insert_step']

#: Corruption and severity; ('clean', 0) is the images as they are.
Condition = tuple[str, int]
CLEAN: Condition = ('clean', 0)


class CorruptedSplit:
    """The split in any condition. A data set is built once, however often it is corrupted.

    The config is one of :func:`mmips.evaluation.predictions.load_classifier_config`. Images are
    corrupted 'packed', as the network gets them, or 'loaded', before resizing and cropping; with
    a folder ``cifar_c``, its CIFAR-10-C or CIFAR-100-C is read instead.
    """

    def __init__(self, cfg: Any, split: str, max_images: int | None = None,
                 cifar_c: str | None = None, where: str = 'packed', seed: int = 0) -> None:
        self.cfg, self.split, self.max_images = cfg, split, max_images
        self.cifar_c, self.where, self.seed = cifar_c, where, seed
        self.order = pipeline_order(cfg, split)
        self._loaders: dict[Condition | None, Any] = {}

    def config(self, condition: Condition) -> Any:
        """A copy of the config whose split has the corrupted images."""
        cfg = copy.deepcopy(self.cfg)
        if condition == CLEAN:
            return cfg
        loader = cfg[f'{self.split}_dataloader']
        # Workers that live on would not learn of the next condition.
        loader.persistent_workers = False
        datasets = [dataset for _, dataset in sources.iter_datasets(loader.dataset, '')]
        settings = dict(zip(('corruption', 'severity'), condition), channel_order=self.order)
        if self.cifar_c:
            pipeline = [step for step in datasets[0].get('pipeline', [])
                        if not sources.type_name(step).startswith('Load')]
            loader.dataset = dict(type='mmips.CIFARCDataset', data_root=self.cifar_c, **settings,
                                  pipeline=pipeline, max_classes=datasets[0].get('max_classes'))
            return cfg
        for dataset in datasets:
            step = dict(type='mmips.CorruptImage', seed=self.seed, **settings)
            dataset['pipeline'] = insert_step(dataset.get('pipeline', []), step, self.where)
        return cfg

    def loader(self, condition: Condition) -> Any:
        """The data loader; another condition may change it."""
        key = condition if condition == CLEAN or self.cifar_c else None
        if key not in self._loaders:
            self._loaders[key] = loaders.build_loader(self.config(condition), self.split,
                                                      self.max_images)
        if key is None:
            for step in self._steps(self._loaders[key].dataset):
                step.corruption, step.severity = condition
        return self._loaders[key]

    def _steps(self, dataset: Any) -> list[Any]:
        steps = _corrupting_steps(dataset)
        settings = self.cfg[f'{self.split}_dataloader'].dataset
        if len(steps) != len(list(sources.iter_datasets(settings, ''))):
            # Left alone, they would go on with the first condition.
            raise UserError(f'{settings.get("type")} of the {self.split} split does not show the '
                            "pipelines of what it wraps, as mmengine's wrappers do in their "
                            'dataset or datasets. Evaluate the wrapped data set itself.')
        return steps

    def example(self, condition: Condition) -> np.ndarray:
        """An image from the middle of the split as it is packed, (H, W, 3) uint8 RGB."""
        images = self.loader(condition).dataset
        return denormalize(images[len(images) // 2]['inputs'][None], bgr=self.order == 'bgr')[0]


def insert_step(pipeline: Sequence[dict], step: dict, where: str) -> list[dict]:
    """The pipeline with the step behind loading ('loaded') or before packing ('packed')."""
    names = [sources.type_name(part) for part in pipeline]
    if where == 'loaded':
        place = max((number + 1 for number, name in enumerate(names) if name.startswith('Load')),
                    default=0)
    elif 'PackInputs' in names:
        place = names.index('PackInputs')
    else:
        raise UserError('The pipeline of the split has no PackInputs before which images could be '
                        f'corrupted, only {", ".join(names) or "nothing"}. Give --where loaded.')
    return [*pipeline[:place], step, *pipeline[place:]]


def _corrupting_steps(dataset: Any) -> list[Any]:
    """Every CorruptImage in the pipelines of a data set and of those that it wraps."""
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    wrapped = [getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())]
    return [step for step in steps if isinstance(step, CorruptImage)] + [
        step for part in wrapped if part is not None for step in _corrupting_steps(part)]
