# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The configs of a sweep's recipes, and all that can be wrong with them before the training."""
import contextlib
import copy
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmips.config import loading, sources
from mmips.config.data_checks import LOADERS
from mmips.config.options import merge_options
from mmips.config.pair_checks import check_config
from mmips.errors import UserError, explained
from mmips.runs.sweep_recipes import RANDOM, Recipe, Sweep


def check_recipes(sweep: Sweep, recipes: Sequence[Recipe], data: bool = True) -> dict[str, Any]:
    """Read every config, and check it and fetch what it needs before the training.

    What it may not mean is told, once for all recipes, where they are to be trained (``data``).
    """
    needed = {'train_dataloader', 'val_dataloader', 'val_evaluator', 'test_evaluator',
              *(f'{split}_dataloader' for split in sweep.evaluate)}
    configs, doubts = read_configs(recipes), dict[str, list[str]]()
    for recipe in recipes:
        cfg = load_recipe(sweep, recipe, configs[recipe.config])
        missing = sorted(key for key in needed if not cfg.get(key))
        missing += [] if _length(cfg) else ['train_cfg.max_epochs']
        if missing:
            raise UserError(f'recipe {recipe.name} ({recipe.config}) has no {", ".join(missing)}, '
                            'which a sweep needs.')
        for doubt in _check(sweep, recipe, cfg, configs[recipe.config]):
            doubts.setdefault(doubt, []).append(recipe.name)
        if data:
            sources.check_paths(cfg, LOADERS)
            _download(cfg, LOADERS)
    for doubt, names in doubts.items() if data else ():
        more = f' and {len(names) - 3} more' if len(names) > 3 else ''
        print(f'{"; ".join(names[:3])}{more}: {doubt}', file=sys.stderr)
    return configs


def _check(sweep: Sweep, recipe: Recipe, cfg: Any, read: Any) -> list[str]:
    """What a recipe's config, as it will be trained, may not mean; a UserError for mistakes."""
    if recipe.source not in ('', RANDOM):
        cfg = load_recipe(sweep, recipe, read, Path('checkpoint of its start'))
    try:
        if (recipe.start not in ('', RANDOM)
                and sources.type_name(cfg.model.backbone.init_cfg) != 'Pretrained'):
            raise UserError("start needs model.backbone.init_cfg=dict(type='Pretrained', prefix="
                            "'backbone.', checkpoint=''), to which the file is given.")
        return check_config(cfg)
    except UserError as error:
        raise UserError(f'recipe {recipe.name} ({recipe.config}): {error}') from error


def read_configs(recipes: Sequence[Recipe]) -> dict[str, Any]:
    """The configs of some recipes by their paths, each read once."""
    return {path: _read_config(path) for path in {recipe.config for recipe in recipes}}


def _read_config(path: str) -> Any:
    # mmengine announces the variables of a config; each run's own log has that too.
    with contextlib.redirect_stdout(io.StringIO()):
        return loading.load_config(path)


def load_recipe(sweep: Sweep, recipe: Recipe, cfg: Any = None,
                checkpoint: Path | None = None) -> Any:
    """The config of a recipe."""
    cfg = copy.deepcopy(cfg) if cfg is not None else _read_config(recipe.config)
    start = {recipe.source_key: str(checkpoint)} if checkpoint else {}
    try:
        merge_options(cfg, {**recipe.options, **start})
    except ValueError as error:
        raise UserError(f'recipe {recipe.name} ({recipe.config}): {error}') from error
    if recipe.teacher and not cfg.model.get('teacher'):
        raise UserError(f'recipe {recipe.name} ({recipe.config}): teacher needs a config with '
                        "model.teacher=dict(config='...py', checkpoint=''), to which it is given.")
    if recipe.teacher and checkpoint is None:
        cfg.model.teacher.checkpoint = None  # Yet to be trained.
    if recipe.start and checkpoint is None:
        cfg.model.backbone.init_cfg = None
        cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks') or []
                            if sources.type_name(hook) != 'CheckPretrained']
    if (sweep.curves and sweep.metric_of(recipe) == sweep.metric
            and 'train_cfg.val_interval' not in recipe.options):
        cfg.train_cfg.val_interval = max(1, _length(cfg) // 12)
    return cfg


def _length(cfg: Any) -> int:
    """Epochs of a run, or its steps where those are counted."""
    return cfg.train_cfg.get('max_epochs') or cfg.train_cfg.get('max_iters') or 0


def data_files(cfg: Any, checkpoint: Path | None = None) -> list[str]:
    """The files that a config's numbers depend on: data, teacher, and what it starts from."""
    named = [checkpoint, *(path for _, path in sources.local_checkpoints(cfg))]
    data = [sources.present_paths((cfg.get(field) or {}).get('dataset')) for field in LOADERS]
    return list(dict.fromkeys(str(path) for path in (*named, *sum(data, [])) if path))


def _download(cfg: Any, fields: tuple[str, ...]) -> None:
    """Fetch data sets that fetch themselves, once: runs side by side would get in their way."""
    from mmengine.registry import DATASETS
    pending = sources.pending_downloads(cfg, fields)
    with explained('The data cannot be prepared', sources.advise(pending)):
        for _, data, _ in pending:
            DATASETS.build({'_scope_': cfg.get('default_scope'), **copy.deepcopy(data)})
