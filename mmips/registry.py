# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Registries of mmips.

``type='mmips.X'`` in any config makes mmengine import this module by itself, so
the parts work in mmpretrain's, mmseg's and mmdet's own tools with no
``custom_imports``. The parents are mmengine's roots: a child of mmpretrain's
registries would be invisible from mmseg and mmdet.
"""
from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

from mmips.compat import has_package

__all__ = ['MODELS', 'DATASETS', 'DATA_SAMPLERS', 'HOOKS', 'METRICS', 'FUNCTIONS',
           'TRANSFORMS']

MODELS = Registry('model', parent=MMENGINE_MODELS, scope='mmips', locations=['mmips.models'])
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='mmips', locations=['mmips.datasets'])
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope='mmips',
    locations=['mmips.datasets.samplers'])
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='mmips',
    locations=['mmips.datasets.transforms'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='mmips', locations=['mmips.engine.hooks'])
METRICS = Registry(
    'metric', parent=MMENGINE_METRICS, scope='mmips', locations=['mmips.evaluation.metrics'])
FUNCTIONS = Registry(
    'function', parent=MMENGINE_FUNCTIONS, scope='mmips', locations=['mmips.engine.seeding'])

if has_package('mmpretrain'):
    # mmengine has no root for batch augments, so this one hangs below mmpretrain's.
    from mmpretrain.registry import BATCH_AUGMENTS as MMPRETRAIN_BATCH_AUGMENTS
    BATCH_AUGMENTS = Registry(
        'batch augment',
        parent=MMPRETRAIN_BATCH_AUGMENTS,
        scope='mmips',
        locations=['mmips.models.batch_augments'])
    __all__ += ['BATCH_AUGMENTS']
