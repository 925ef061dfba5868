# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What the command line tools share: options, and errors in one message."""
import argparse
import functools
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from mmips.errors import UserError, error_text
from mmips.runs import launch

__all__ = ['TRACEBACK', 'add_run_options', 'parse_run_args', 'readable_failures']

#: Set to 1, this variable brings the full traceback back.
TRACEBACK = 'MMIPS_TRACEBACK'


def readable_failures(main: Callable) -> Callable:
    """Decorate a tool's ``main``: a ``UserError`` ends in its message alone and status 2.

    Any other error keeps its traceback, and so do all with ``MMIPS_TRACEBACK=1``.
    """

    @functools.wraps(main)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return main(*args, **kwargs)
        except UserError as error:
            if os.environ.get(TRACEBACK, '0') != '0':
                raise
            message = error_text(error)
            if launch.local_rank():
                # The launcher ends what waits for the first process, but the fault may be here.
                time.sleep(10)
                message = f'[process {launch.rank()}] {message}'
            print(f'\n{message}\n\n(the full traceback: {TRACEBACK}=1)', file=sys.stderr)
            raise SystemExit(2) from None

    return wrapped


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


def parse_run_args(parser: argparse.ArgumentParser, argv: Sequence[str] | None
                   ) -> argparse.Namespace:
    """Read a command line with the options above; mmengine wants ``LOCAL_RANK`` set."""
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args
