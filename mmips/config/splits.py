# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Adapt a config for the evaluation of one of its data sets."""
from typing import Any

from mmips.config import loading, sources
from mmips.errors import UserError


def prepare_split(cfg: Any, split: str, name: str) -> None:
    """Adapt a config in place: its images in order, its weights from checkpoints alone.

    Those of 'train' go through the test set's pipeline; ``name`` is that of the config in messages.
    """
    field = f'{split}_dataloader'
    if not cfg.get(field):
        raise UserError(f'{name} has no {field}: write one, or choose another --split.')
    cfg.load_from, cfg.resume = None, False
    drop_pretrained(cfg.model)
    loading.set_dataloader_defaults(cfg, (field, ))
    loader = cfg[field]
    # In order, so that the n-th prediction is that of the n-th image.
    loader.sampler = dict(type='DefaultSampler', shuffle=False)
    for key in ('batch_sampler', 'worker_init_fn', 'drop_last'):
        loader.pop(key, None)
    if split == 'train':
        tests = [data for test in ('test_dataloader', 'val_dataloader') for _, data in
                 sources.iter_datasets((cfg.get(test) or {}).get('dataset'), '')]
        if not tests:
            raise UserError(f'{name} has no test or validation set, whose pipeline its training '
                            'images would take: write test_dataloader.')
        for _, dataset in sources.iter_datasets(loader.dataset, ''):
            dataset['pipeline'] = tests[0].get('pipeline', [])
    sources.check_paths(cfg, (field, ))


def drop_pretrained(node: Any) -> None:
    """Remove every pretrained checkpoint below a model config, in place."""
    for key, value in sources.iter_parts(node):
        if (isinstance(value, str) if key == 'pretrained' else
                key == 'init_cfg' and 'Pretrained' in repr(value)):
            node[key] = None
        else:
            drop_pretrained(value)
