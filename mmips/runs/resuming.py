# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Resume a run: from which file, and what of its config has to be, may be or cannot be another."""
import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mmips.config.stored import flatten, read_stored
from mmips.errors import UserError
from mmips.runs import work_dir
from mmips.runs.loaders import length
from mmips.version import __version__

# What a run is made of; how it is logged or judged may change.
_PARTS = ('model', 'data_preprocessor', 'train_dataloader', 'train_cfg', 'optim_wrapper',
          'param_scheduler', 'custom_hooks', 'randomness')
# Of these the checkpoint's state is loaded, whatever the config says.
_IGNORED = ('optim_wrapper.optimizer.', 'param_scheduler.', 'randomness.seed')
_FIXED = ('optim_wrapper.optimizer.type', 'optim_wrapper.paramwise_cfg.',
          'train_dataloader.dataset.type')
_SHOWN = 8


def choose_checkpoint(cfg: Any) -> list[str]:
    """Fill in what a config without ``load_from`` is resumed from; returns what to say about it.

    Raises:
        UserError: If its folder has checkpoints, and none of them is whole.
    """
    if not cfg.get('resume') or cfg.get('load_from'):
        return []
    path, problems = work_dir.newest_whole(cfg.work_dir)
    if path is None and problems:
        raise UserError('\n'.join([*problems, f'No other checkpoint in {cfg.work_dir} can be '
                                   'resumed from: start anew with --overwrite.']))
    cfg.resume, cfg.load_from = path is not None, path and str(path)
    return problems + [f'Resumed from {path}, the newest whole checkpoint.' if path else
                       f'{cfg.work_dir} has no checkpoint to resume from: the run starts anew.']


class ResumeCheck(Hook):
    """Refuses a resume that would mix two runs, and says what else differs.

    Raises:
        UserError: For other data or classes, another optimizer, or more epochs than shall be.
    """

    priority = 'LOWEST'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep what the config does not tell."""
        checkpoint['meta']['mmips'] = _facts(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare what was saved with what is built."""
        if not runner._resume:
            return
        meta, name = checkpoint.get('meta') or {}, runner._load_from
        lacking = [key for key in ('optimizer', 'message_hub') if key not in checkpoint]
        if lacking or not {'epoch', 'iter'} <= set(meta):
            raise UserError(f'{name} holds weights alone and cannot be resumed from (it has no '
                            f'{", ".join(lacking) or "epoch"}): start from it by load_from.')
        _check_length(runner, meta)
        _compare(runner, meta)
        _stay_in_folder(runner, checkpoint['message_hub'].get('runtime_info') or {})


def _facts(runner: Runner) -> dict[str, Any]:
    return dict(version=__version__, processes=get_world_size(),
                images=length(runner.train_dataloader.dataset, 0))


def _check_length(runner: Runner, meta: Mapping) -> None:
    for unit, limit in (('epoch', runner.max_epochs), ('iter', runner.max_iters)):
        if limit and meta[unit] > limit:
            raise UserError(f'{runner._load_from} has done {meta[unit]} {unit}s, train_cfg.max_'
                            f'{unit}s is {limit}: make it more, or take an earlier checkpoint.')


def _compare(runner: Runner, meta: Mapping) -> None:
    try:
        saved = read_stored(meta.get('cfg'))
    except ValueError as error:
        runner.logger.warning(f'The config in {runner._load_from} is not compared: {error}.')
        saved = {}
    old, new = (flatten({part: cfg.get(part) for part in _PARTS if saved and cfg.get(part)})
                for cfg in (saved, runner.cfg))
    known = meta.get('mmips') or {}
    facts = {key: value for key, value in _facts(runner).items() if key in known}
    old |= known
    new |= facts
    metas = (meta.get('dataset_meta'), getattr(runner.train_dataloader.dataset, 'metainfo', None))
    old['classes'], new['classes'] = (list((part or {}).get('classes') or ()) for part in metas)
    differing = [f'{key} ({_short(old.get(key))} -> {_short(new.get(key))})'
                 for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    fixed = [text for text in differing if text.startswith((*_FIXED, 'classes ', 'images '))]
    if fixed:
        raise UserError(f'{runner._load_from} is of a run of other data or another optimizer: '
                        f'{"; ".join(fixed)}. Resume with its own config, or start anew in '
                        'another folder.')
    ignored = [text for text in differing if text.startswith(_IGNORED)]
    for what, texts in (('without effect, since the state in the checkpoint counts', ignored),
                        ('changed from here on', [x for x in differing if x not in ignored])):
        if texts:
            more = f' and {len(texts) - _SHOWN} more' if len(texts) > _SHOWN else ''
            runner.logger.warning(f'Resumed with another config; {what}: '
                                  f'{"; ".join(texts[:_SHOWN])}{more}.')


def _short(value: Any) -> str:
    text = 'absent' if value is None else repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _stay_in_folder(runner: Runner, info: dict) -> None:
    """Forget where a folder was before it was copied: mmengine would remove files there."""
    if any(isinstance(hook, CheckpointHook) and hook.out_dir in (None, runner.work_dir)
           for hook in runner.hooks):
        for key in info:
            if key.startswith(('best_ckpt', 'last_ckpt')) and isinstance(info[key], str):
                info[key] = osp.join(runner.work_dir, osp.basename(info[key]))
