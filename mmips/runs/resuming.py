# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Resume a run: from which file, and what of its config has to be, may be or cannot be another."""
import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmengine.dist import broadcast_object_list, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmips.config.stored import flatten, kinds, read_stored
from mmips.errors import UserError
from mmips.runs import work_dir
from mmips.runs.loaders import length
from mmips.structures.state_dicts import plain_names
from mmips.version import __version__

# What a run is made of; how it is logged or judged may change.
_PARTS = ('model', 'data_preprocessor', 'train_dataloader', 'train_cfg', 'optim_wrapper',
          'param_scheduler', 'custom_hooks', 'randomness', 'auto_scale_lr')
# Of these the checkpoint's state is loaded, whatever the config says.
_IGNORED = ('optim_wrapper.optimizer.', 'param_scheduler.', 'randomness.seed', 'auto_scale_lr.')
_FIXED = ('optim_wrapper.optimizer.type', 'optim_wrapper.paramwise_cfg.',
          'train_dataloader.dataset.type', 'classes ', 'images ', 'schedules ')
_SHOWN = 8


def choose_checkpoint(cfg: Any, newest: bool = False) -> list[str]:
    """Fill in what a config without ``load_from`` is resumed from; returns what to say about it.

    With ``newest`` also one with it, which is what a run begins from where there is nothing yet.

    Raises:
        UserError: If its folder has checkpoints, and none of them is whole.
    """
    if not cfg.get('resume') or cfg.get('load_from') is not None and not newest:
        return []
    path, problems = work_dir.newest_whole(cfg.work_dir)
    if path is None and problems:
        raise UserError('\n'.join([*problems, f'No other checkpoint in {cfg.work_dir} can be '
                                   'resumed from: start anew with --overwrite.']))
    cfg.resume = path is not None
    cfg.load_from = str(path) if path else cfg.get('load_from')
    return problems + [f'Resumed from {path}, the newest whole checkpoint.' if path else
                       f'{cfg.work_dir} has no checkpoint to resume from: the run starts anew.']


def follow_first(runner: Any) -> None:
    """Have all processes resume from what the first has found: others may see an older folder."""
    choice = [runner._resume, runner._load_from]
    broadcast_object_list(choice)
    runner._resume, runner._load_from = choice


class ResumeCheck(Hook):
    """Refuses a resume that would mix two runs, and says what else differs.

    Raises:
        UserError: For other data, classes or kinds of schedules, another optimizer, or more epochs
            than shall be.
    """

    priority = 'LOWEST'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep what the config does not tell, and the names of the model without a wrapper."""
        checkpoint['meta']['mmips'] = _facts(runner)
        if next(iter(checkpoint['state_dict']), '').startswith('module.'):  # By DDPStrategy.
            checkpoint['state_dict'] = plain_names(checkpoint['state_dict'])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare what was saved with what is built."""
        if not runner._resume:
            return
        meta, name = checkpoint.get('meta') or {}, runner._load_from
        needed = 'optimizer', 'message_hub', *(['param_schedulers'] * bool(runner.param_schedulers))
        lacking = [key for key in needed if key not in checkpoint]
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
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    unit, limit = ('epoch', runner.max_epochs) if by_epoch else ('iter', runner.max_iters)
    if meta[unit] > limit:
        raise UserError(f'{runner._load_from} has done {meta[unit]} {unit}s, train_cfg.max_'
                        f'{unit}s is {limit}: make it more, or take an earlier checkpoint.')
    if meta[unit] == limit:
        runner.logger.warning(f'{runner._load_from} has done all {limit} {unit}s: there is nothing '
                              f'left to train. For more raise train_cfg.max_{unit}s.')


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
    if saved:  # mmengine would put the state of one schedule into another.
        old['schedules'], new['schedules'] = (
            kinds(cfg.get('param_scheduler')) for cfg in (saved, runner.cfg))
    differing = [f'{key} ({_short(old.get(key))} -> {_short(new.get(key))})'
                 for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    fixed = [text for text in differing if text.startswith(_FIXED)]
    if fixed:
        raise UserError(f'{runner._load_from} is of a run of other data, another optimizer or '
                        f'other schedules: {"; ".join(fixed)}. Resume with its own config, or '
                        'start anew in another folder.')
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
