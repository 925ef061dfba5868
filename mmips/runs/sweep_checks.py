# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The configs of a sweep's recipes, and all that can be wrong with them before the training."""
import contextlib
import copy
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmips.config import loading, sources
from mmips.config.options import merge_options
from mmips.errors import UserError, explained
from mmips.runs.sweep_recipes import Recipe, Sweep

__all__ = ['check_recipes', 'data_files', 'load_recipe']


def check_recipes(sweep: Sweep, recipes: Sequence[Recipe], data: bool = True) -> dict[str, Any]:
    """Read every config, check what can be checked before the training."""
    configs: dict[str, Any] = {}
    evaluators = set()
    for recipe in recipes:
        if recipe.config not in configs:
            configs[recipe.config] = _read_config(recipe.config)
        cfg = load_recipe(sweep, recipe, configs[recipe.config])
        _check_kind(sweep, recipe, cfg)
        if data:
            fields = 'train_dataloader', 'val_dataloader', 'test_dataloader'
            sources.check_paths(cfg, fields)
            _download(cfg, fields)
            evaluator = repr((cfg.val_evaluator, cfg.test_evaluator))
            if evaluator not in evaluators:
                _check_metric(recipe, cfg, sweep.metric_of(recipe))
                evaluators.add(evaluator)
    return configs


def _read_config(path: str) -> Any:
    # mmengine announces the variables of a config; each run's own log has that too.
    with contextlib.redirect_stdout(io.StringIO()):
        return loading.load_config(path)


def load_recipe(sweep: Sweep, recipe: Recipe, cfg: Any = None,
                checkpoint: Path | None = None) -> Any:
    """The config of a recipe."""
    cfg = copy.deepcopy(cfg) if cfg is not None else _read_config(recipe.config)
    options = dict(recipe.options)
    if checkpoint is not None:
        options['model.backbone.init_cfg.checkpoint'] = str(checkpoint)
    try:
        merge_options(cfg, options)
    except ValueError as error:
        raise UserError(f'recipe {recipe.name} ({recipe.config}): {error}') from error
    if recipe.start and checkpoint is None:
        cfg.model.backbone.init_cfg = None
        cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks') or []
                            if sources.type_name(hook) != 'CheckPretrained']
    curves = sweep.curves and sweep.metric_of(recipe) == sweep.metric
    if curves and 'train_cfg.val_interval' not in recipe.options:
        cfg.train_cfg.val_interval = max(1, cfg.train_cfg.max_epochs // 12)
    return cfg


def data_files(cfg: Any, checkpoint: Path | None = None) -> list[str]:
    """The files that a config's numbers depend on: of its data, and what it starts from."""
    return [str(path) for path in (cfg.get('npz_file'), checkpoint) if path]


def _check_kind(sweep: Sweep, recipe: Recipe, cfg: Any) -> None:
    needed = {f'{split}_dataloader' for split in ('train', 'val', *sweep.evaluate)}
    missing = sorted(key for key in {*needed, 'val_evaluator', 'test_evaluator'}
                     if not cfg.get(key))
    if missing:
        raise UserError(f'recipe {recipe.name} ({recipe.config}) has no {", ".join(missing)}.')
    if not cfg.train_cfg.get('max_epochs'):
        raise UserError(f'recipe {recipe.name} ({recipe.config}) is not trained in epochs '
                        '(train_cfg.max_epochs), which a sweep needs.')


def _download(cfg: Any, fields: tuple[str, ...]) -> None:
    """Fetch data sets that fetch themselves, once: runs side by side would get in their way."""
    from mmengine.registry import DATASETS
    pending = sources.pending_downloads(cfg, fields)
    with explained('The data cannot be prepared', sources.advise(pending)):
        for _, data, _ in pending:
            DATASETS.build({'_scope_': cfg.get('default_scope'), **copy.deepcopy(data)})


def _check_metric(recipe: Recipe, cfg: Any, metric: str) -> None:
    """Raise if a classifier's evaluation would not have the metric.

    Other toolboxes' metrics need whole images; theirs is found missing at the first validation.
    """
    number = (cfg.model.get('head') or {}).get('num_classes')
    if cfg.get('default_scope') != 'mmpretrain' or not isinstance(number, int):
        return
    import torch
    from mmengine.evaluator import Evaluator
    from mmengine.registry import init_default_scope
    from mmpretrain.structures import DataSample
    init_default_scope('mmpretrain')
    labels = range(min(number, 8))
    samples = [DataSample(num_classes=number).set_gt_label(label).set_pred_label(0)
               .set_pred_score(torch.full((number, ), 1 / number)) for label in labels]
    for key in ('val_evaluator', 'test_evaluator'):
        evaluator = Evaluator(copy.deepcopy(cfg[key]))
        evaluator.dataset_meta = dict(classes=[str(label) for label in range(number)])
        evaluator.process(samples)
        names = sorted(evaluator.evaluate(len(samples)))
        if metric not in names:
            raise UserError(f'metric: {metric!r} is not among the results of the {key} of recipe '
                            f'{recipe.name}, which are {", ".join(names)}.')
