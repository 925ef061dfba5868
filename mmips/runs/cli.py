# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What the command line tools share: options, configs, and failures in one message."""
import argparse
import functools
import os
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from mmips.config import sources
from mmips.errors import error_text
from mmips.runs import launch

__all__ = ['add_run_options', 'build_runner', 'readable_failures', 'watch_first_step']

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
        return (f'{sources.advise(_Progress.downloads)}\n  (the download failed: '
                f'{error_text(error)})')
    frame, line = list(traceback.walk_tb(error.__traceback__))[-1]
    if _is_ours(frame) and isinstance(error, _OURS):
        return error_text(error)
    if launch.local_rank() and any(words in str(error) for words in _LOST_NEIGHBOUR):
        return f'Process {launch.rank()} lost another one: {error_text(error)}'
    if isinstance(error, _EXPLAINED) and str(error):
        place = f'{frame.f_code.co_filename}:{line}, in {frame.f_code.co_name}'
        return f'{type(error).__name__}: {error_text(error)}\n  ({place})'
    return None


def _is_ours(frame: FrameType) -> bool:
    return frame.f_globals.get('__name__', '').partition('.')[0] == 'mmips'


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
