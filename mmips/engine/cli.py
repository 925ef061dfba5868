# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What the command line tools share: options, configs, and failures in one message."""
import argparse
import functools
import os
import os.path as osp
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from mmips.engine import launch, sources

__all__ = ['add_run_options', 'build_runner', 'load_config', 'readable_failures',
           'set_dataloader_defaults', 'set_work_dir', 'watch_first_step']

#: Set to 1, this variable brings the full traceback back.
TRACEBACK = 'MMIPS_TRACEBACK'
# Errors by which the MM stack tells a user what is wrong with a config; they bear
# their explanation in their text. Others (RuntimeError of torch ...) need the traceback.
_EXPLAINED = (ValueError, TypeError, KeyError, OSError, AssertionError, ImportError)
# What mmips itself raises on purpose; a KeyError from our code would be a fault of ours.
_OURS = (ValueError, TypeError, OSError, ImportError, RuntimeError)
_LOST_NEIGHBOUR = ('Connection closed by peer', 'Broken pipe', 'Connection reset by peer')


class _Progress:
    """Whether the first optimisation step is behind us, and which downloads may be tried."""
    stepped = False
    downloads: list = []


def readable_failures(main: Callable) -> Callable:
    """Decorate a tool's ``main``: what its user can mend ends in one message and status 2.

    One message, without a traceback, are the errors that explain themselves (raised
    in mmips, or of the types by which mmengine and the toolboxes refuse a config) as
    long as no optimisation step has been made. ``MMIPS_TRACEBACK=1`` shows everything.
    """

    @functools.wraps(main)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _Progress.stepped, _Progress.downloads = False, []
        try:
            return main(*args, **kwargs)
        except Exception as error:
            message = _explain(error)
            if message is None or os.environ.get(TRACEBACK, '0') != '0':
                raise
            _speak(message)
            raise SystemExit(launch.USER_ERROR) from None

    return wrapped


def _explain(error: Exception) -> str | None:
    """The message for an error that needs no traceback, ``None`` for any other."""
    if _Progress.stepped:
        return None
    if _Progress.downloads and _is_network_failure(error):
        return f'{sources.advise(_Progress.downloads)}\n  (the download failed: {_text(error)})'
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    if _is_ours(frame) and isinstance(error, _OURS):
        return _text(error)
    if launch.local_rank() and any(words in str(error) for words in _LOST_NEIGHBOUR):
        return f'Process {launch.rank()} lost another one: {_text(error)}'
    if isinstance(error, _EXPLAINED) and str(error):
        place = f'{frame.f_code.co_filename}:{line}, in {frame.f_code.co_name}'
        return f'{type(error).__name__}: {_text(error)}\n  ({place})'
    return None


def _is_ours(frame: FrameType) -> bool:
    return frame.f_globals.get('__name__', '').partition('.')[0] == 'mmips'


def _text(error: BaseException) -> str:
    # str() of a KeyError is the repr of its message.
    message = error.args[0] if isinstance(error, KeyError) and error.args else error
    text = str(message).strip()
    # A worker process sends its whole traceback as the message.
    return text.splitlines()[-1] if 'Original Traceback' in text else text


def _is_network_failure(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) or 'Download failed' in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _speak(message: str) -> None:
    """Print a message from the first process; others wait to be ended by the launcher.

    They do speak in the end, for the fault may be on their machine or in their share
    of the data alone.
    """
    if launch.local_rank():
        time.sleep(10)
        message = f'[process {launch.rank()}] {message}'
    print(f'\n{message}\n\n(the full traceback: {TRACEBACK}=1)', file=sys.stderr, flush=True)


def watch_first_step(runner: Any) -> None:
    """Let the Runner tell when the first optimisation step is done."""
    from mmengine.hooks import Hook

    class FirstStep(Hook):
        """Sets the flag after the first step."""

        def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
            _Progress.stepped = True

    runner.register_hook(FirstStep())


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share."""
    from mmengine.config import DictAction
    parser.add_argument('--work-dir', help='folder for logs and results '
                        '(default: ./work_dirs/<name of the config>)')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config: key=value, for a list '
                        'key="[a,b]" or key=a,b, for nested ones key="[(a,b),(c,d)]"')
    parser.add_argument('--no-pin-memory', action='store_true',
                        help='do not pin the memory of the data loaders')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='how the processes of a distributed run were started')
    # torch.distributed.launch passes one spelling or the other, depending on its version.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0,
                        help=argparse.SUPPRESS)


def load_config(name: str, options: dict | None = None) -> Any:
    """Read a config and merge command-line options.

    Args:
        name (str): A path, or a config of this package such as ``ips/x.py``.
        options (dict, optional): What ``--cfg-options`` holds. Defaults to None.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: There is no such config; similar ones are named.
        ValueError: The config cannot be read or the options do not fit it.
    """
    from mmengine.config import Config
    path = find_config(name)
    what = f'The config {path} cannot be used'
    try:
        cfg = Config.fromfile(path)
        what = f'--cfg-options do not fit the config {path}'
        cfg.merge_from_dict(options or {})
    except Exception as error:
        raise ValueError(f'{what}: {type(error).__name__}: {_text(error)}'
                         f'{_config_hint(error)}') from error
    return cfg


def _config_hint(error: Exception) -> str:
    if 'augments' in str(error):
        return ("\n  A base with Mixup or CutMix holds `augments` as a list: write "
                "augments=[dict(type='mmips.IntraClassPatchSwap', grid_size=2)], a list too.")
    return ''


def find_config(name: str) -> str:
    """The path of a config given by path or by its name inside this package.

    Raises:
        FileNotFoundError: There is no such config; similar ones are named.
    """
    import mmips
    if osp.isfile(name):
        return name
    try:
        return mmips.cfg(name)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'There is no config file {name!r} (looked from {os.getcwd()}), and {error}') from None


def set_work_dir(cfg: Any, config: str, work_dir: str | None) -> None:
    """The work directory: command line before config before the config's name."""
    cfg.work_dir = work_dir or cfg.get('work_dir') or osp.join(
        './work_dirs', osp.splitext(osp.basename(config))[0])


def set_dataloader_defaults(cfg: Any, fields: Sequence[str], pin_memory: bool = True,
                            persistent_workers: bool = True) -> None:
    """Fill in what the toolboxes' tools fill in; ``False`` switches a thing off everywhere.

    Args:
        cfg (Config): The whole config, changed in place.
        fields (Sequence[str]): The data loaders.
        pin_memory (bool): Defaults to True.
        persistent_workers (bool): Defaults to True.
    """
    import torch
    defaults: dict = {}
    if cfg.get('default_scope') == 'mmpretrain':
        # mmseg's and mmdet's own tools leave the Runner's collation alone.
        defaults = dict(pin_memory=torch.cuda.is_available(), persistent_workers=True,
                        collate_fn=dict(type='default_collate'))
    for loader in (cfg[field] for field in fields if cfg.get(field)):
        for key, value in defaults.items():
            loader.setdefault(key, value)
        if not pin_memory:
            loader.pin_memory = False
        if not persistent_workers or not loader.get('num_workers'):
            # torch refuses persistent workers where there are no workers.
            loader.persistent_workers = False


def build_runner(cfg: Any, fields: tuple[str, ...]) -> Any:
    """Check the paths, prepare the processes and build the config's Runner.

    Args:
        cfg (Config): The whole config, command-line options merged.
        fields (tuple[str, ...]): The data loaders that this run builds.
    """
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner
    sources.check_paths(cfg, fields)
    _Progress.downloads = sources.pending_downloads(cfg, fields)
    launch.prepare_distributed(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
