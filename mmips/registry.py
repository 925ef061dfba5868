# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Registries of mmips: ``type='mmips.X'`` in any config makes mmengine import this module.

So the parts work in mmpretrain's, mmseg's and mmdet's own tools with no ``custom_imports``. The
parents are mmengine's roots: a child of mmpretrain's would be invisible from mmseg and mmdet.
"""
from mmengine import registry as roots
from mmengine.registry import Registry

from mmips.compat import has_package

__all__ = ['MODELS', 'DATASETS', 'DATA_SAMPLERS', 'HOOKS', 'METRICS', 'FUNCTIONS',
           'OPTIM_WRAPPERS', 'TRANSFORMS']


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='mmips',
                    locations=[f'mmips.{location}' for location in locations])


MODELS = _child(roots.MODELS, 'models')
DATASETS = _child(roots.DATASETS, 'datasets')
DATA_SAMPLERS = _child(roots.DATA_SAMPLERS, 'datasets.samplers')
TRANSFORMS = _child(roots.TRANSFORMS, 'datasets.transforms')
OPTIM_WRAPPERS = _child(roots.OPTIM_WRAPPERS, 'engine.bfloat16_optim_wrapper')
HOOKS = _child(roots.HOOKS, 'engine.hooks')
METRICS = _child(roots.METRICS, 'evaluation.metrics')
FUNCTIONS = _child(roots.FUNCTIONS, 'engine.seeding', 'datasets')

if has_package('mmpretrain'):
    # mmengine has no root for batch augments, so this one hangs below mmpretrain's.
    from mmpretrain.registry import BATCH_AUGMENTS as MMPRETRAIN_BATCH_AUGMENTS
    BATCH_AUGMENTS = _child(MMPRETRAIN_BATCH_AUGMENTS, 'models.batch_augments')
    __all__ += ['BATCH_AUGMENTS']
