# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""One run by mmengine's Runner: built, trained, tested."""
import contextlib
import functools
import os
import re
from collections.abc import Callable
from typing import Any

from mmips.config import sources
from mmips.config.builders import DEFAULT_HOOKS
from mmips.config.pair_checks import check_config
from mmips.config.type_checks import name_warnings
from mmips.errors import UserError, explained
from mmips.runs import launch, loaders, work_dir


def prepare(cfg: Any, fields: tuple[str, ...]) -> None:
    """Check what data loaders and model want from the disk, and prepare the processes."""
    sources.check_paths(cfg, fields)
    launch.prepare_distributed(cfg)


def build_runner(cfg: Any, fields: tuple[str, ...]) -> Any:
    """Build a config's Runner with the loops of some data loaders.

    What mmengine or a toolbox refuses of the config is a UserError.
    """
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner
    work_dir.write_whole_files()
    pending = sources.pending_downloads(cfg, fields)
    # mmengine can switch off none but its own in this way.
    for name in [name for name, hook in (cfg.get('default_hooks') or {}).items() if hook is None]:
        if name not in DEFAULT_HOOKS:
            del cfg.default_hooks[name]
    with explained('The run cannot be built', sources.advise(pending)):
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
        loaders.build_loops(runner, fields)
    if hasattr(runner, 'strategy'):  # FlexibleRunner builds the model only when it runs.
        runner.strategy.prepare = explained('The run cannot be built')(runner.strategy.prepare)
    else:
        runner.build_optim_wrapper = functools.partial(_build_optimizer, runner.build_optim_wrapper)
    _register_checks(runner)
    runner.load_or_resume = functools.partial(_load, runner, runner.load_or_resume)
    return runner


def _build_optimizer(build: Callable, *args: Any) -> Any:
    """Say what mmpretrain's layer-wise learning rates ask of a backbone, which it does not say."""
    try:
        return build(*args)
    except NotImplementedError as error:
        raise UserError('optim_wrapper.constructor: the layers of this backbone are not numbered '
                        'in mmpretrain; docs/finetune.md says of which they are. For one '
                        'learning rate: --cfg-options optim_wrapper.constructor='
                        'DefaultOptimWrapperConstructor') from error


def _load(runner: Any, load: Callable) -> None:
    """Name the checkpoint in whatever its content makes of mmengine's reading of it."""
    done = 'resumed from' if runner._resume else 'loaded'
    with explained(f'{runner._load_from} cannot be {done}. Take another checkpoint, which is whole '
                   'and of this config', every=True):
        load()


def _register_checks(runner: Any) -> None:
    """Add the hooks that look whether weights were loaded, where the config has none."""
    from mmips.engine.hooks import CheckLoaded, CheckPretrained
    from mmips.engine.hooks.monitor import bare_model
    init: Any = getattr(getattr(bare_model(runner), 'backbone', None), 'init_cfg', None) or []
    # Those that a toolbox itself names, torchvision://resnet50 and the like, do fit.
    from_file = any(
        part.get('type') == 'Pretrained' and not re.match(r'(?!https?:)[\w-]+://',
                                                          str(part.get('checkpoint')))
        for part in ([init] if hasattr(init, 'get') else init))
    for kind, wanted in ((CheckLoaded, True), (CheckPretrained, from_file)):
        if wanted and not any(isinstance(hook, kind) for hook in runner.hooks):
            runner.register_hook(kind())


def train(cfg: Any, overwrite: bool = False, newest: bool = False) -> None:
    """Train what a config describes; what it may not mean goes to the log as warnings.

    With ``overwrite`` checkpoints of another run that lie in its folder are removed. With
    ``newest`` a run is resumed from its folder, and begins by ``load_from`` where that has none.
    """
    # Here, since they bring torch, and a tool's --help shall not wait for that.
    from mmips.engine.first_steps import explained_first_steps
    from mmips.runs import resuming
    from mmips.structures.checkpoints import as_data
    fields = 'train_dataloader', 'val_dataloader'
    doubts = check_config(cfg)
    # The others follow: thousands of processes need not look through the same files.
    notes = resuming.choose_checkpoint(cfg, newest) if _is_first(cfg) else []
    prepare(cfg, fields)
    with _own_folder(cfg, overwrite), as_data():
        try:
            runner = build_runner(cfg, fields)
        except UserError as error:
            # A misspelt name may be why something is missing.
            raise UserError('\n'.join([str(error), *doubts])) from error
        resuming.follow_first(runner)
        runner.register_hook(resuming.ResumeCheck())
        if hasattr(runner, 'build_optim_wrapper'):  # A strategy of FlexibleRunner does it later.
            with explained('The optimizer cannot be built'):
                runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        for doubt in doubts:
            # Only now is there a log file to keep it.
            runner.logger.warning(doubt)
        for note in notes:
            runner.logger.info(note)
        with explained_first_steps(runner):
            runner.train()


def _is_first(cfg: Any) -> bool:
    """Whether this process is the one that looks after the folder."""
    # Variables of a launcher mean nothing to processes that are not told of it.
    return cfg.get('launcher', 'none') == 'none' or not launch.rank()


def _own_folder(cfg: Any, overwrite: bool) -> contextlib.AbstractContextManager:
    """What the first process holds while it trains."""
    with contextlib.ExitStack() as stack:
        if _is_first(cfg):
            stack.enter_context(work_dir.claimed(cfg.work_dir))
            source = os.path.dirname(os.path.expanduser(cfg.get('load_from') or ''))
            if not cfg.get('resume') or os.path.realpath(source) != os.path.realpath(cfg.work_dir):
                work_dir.refuse_finished(cfg.work_dir, overwrite)
        return stack.pop_all()


def evaluate(cfg: Any, out: str | None = None, out_item: str | None = None) -> dict:
    """Test the checkpoint that ``cfg.load_from`` names; write metrics, or else predictions."""
    import mmengine
    from mmengine.evaluator import DumpResults

    from mmips.engine.first_steps import explained_first_steps
    from mmips.structures.checkpoints import as_data
    fields = 'test_dataloader',
    prepare(cfg, fields)
    with as_data():
        runner = build_runner(cfg, fields)
        for doubt in name_warnings(cfg):
            runner.logger.warning(doubt)
        if out and out_item != 'metrics':
            runner.test_evaluator.metrics.append(DumpResults(out_file_path=out))
        with explained_first_steps(runner):
            metrics = runner.test()
        if out and out_item == 'metrics' and runner.rank == 0:
            mmengine.dump(metrics, out)
    return metrics
