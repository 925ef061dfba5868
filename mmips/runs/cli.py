# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What the command line tools share: options, and errors in one message."""
import argparse
import errno
import functools
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmips.errors import UserError, error_text
from mmips.runs import launch

#: Set to 1, this variable brings the full traceback back.
TRACEBACK = 'MMIPS_TRACEBACK'
# Errors of the system that a user can mend, and those of them by which a disk is full.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MENDABLE = (*_FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR,
             errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)


def readable_failures(main: Callable) -> Callable:
    """Decorate a tool's ``main``: a ``UserError`` ends in its message alone and status 2.

    Ctrl-C ends in status 130, and in what the KeyboardInterrupt says, if anything. Any other error
    keeps its traceback, and so do all with ``MMIPS_TRACEBACK=1``.
    """

    @functools.wraps(main)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        # A log that cannot be written to would print a traceback for each of its lines.
        logging.raiseExceptions = False
        try:
            return main(*args, **kwargs)
        except KeyboardInterrupt as stop:
            # The launcher sends it once more.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if os.environ.get(TRACEBACK, '0') != '0':
                raise
            if launch.rank() == 0:
                print('\n' + (str(stop) or 'Stopped.'), file=sys.stderr)
            raise SystemExit(launch.STOPPED) from None
        except (UserError, OSError) as error:
            mendable = isinstance(error, UserError) or error.errno in _MENDABLE
            if not mendable or os.environ.get(TRACEBACK, '0') != '0':
                raise
            message = error_text(error) if isinstance(error, UserError) else _system_text(error)
            if launch.rank('LOCAL_RANK'):
                # The launcher ends what waits for the first process, but the fault may be here.
                time.sleep(10)
                message = f'[process {launch.rank()}] {message}'
            print(f'\n{message}\n\n(the full traceback: {TRACEBACK}=1)', file=sys.stderr)
            raise SystemExit(launch.REFUSED) from None
        except RuntimeError as error:
            if not launch.rank() or ' by peer' not in str(error):
                raise
            # gloo's: whatever the matter is, the other process has said it.
            print(f'[process {launch.rank()}] ended, since another one has.', file=sys.stderr)
            raise SystemExit(1) from None

    return wrapped


def _system_text(error: OSError) -> str:
    return (f'{error.filename or "A file"}: {error.strerror}. ' + (
        'Make room and start again: what was written before is whole (train.py goes on by '
        '--resume).' if error.errno in _FULL else 'Give another path, or see to its permissions.'))


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust-checkpoint``, which all that reads checkpoints in this process follows."""
    parser.add_argument('--trust-checkpoint', action=_Trust, nargs=0, default=False,
                        help='run the code in old checkpoints that hold more than data')


class _Trust(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        os.environ['MMIPS_TRUST_CHECKPOINT'] = '1'


def at_least(least: int, most: float = math.inf) -> Callable[[str], int]:
    """The type of an option whose whole number has limits."""
    def number(text: str) -> int:
        if not least <= int(text) <= most:
            limit = f'least {least}' if int(text) < least else f'most {most}'
            raise argparse.ArgumentTypeError(f'must be at {limit}, got {text}')
        return int(text)

    return number


positive, seed = at_least(1), at_least(0, 2 ** 32 - 1)


def existing_file(text: str) -> Path:
    """The type of an option that names a file."""
    if not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f'must name an existing file, got {text}')
    return Path(text).resolve()


def add_cfg_options(parser: argparse.ArgumentParser,
                    text: str = 'override settings of the config') -> None:
    """Add ``--cfg-options``, see :class:`mmips.config.option_values.OptionAction`."""
    from mmips.config.option_values import OptionAction
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='KEY=VALUE',
                        help=f'{text}: key=value, for a list key="[a,b]" or key=a,b, for nested '
                        'ones key="[(a,b),(c,d)]", for a text with commas key="\'a,b\'"; a key '
                        'that nothing reads is refused, unless it is meant to be new: +key=value')


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the config, and what overrides its settings."""
    parser.add_argument('config', help='path of a config, or the name of one of mmips, ips/x.py')
    add_cfg_options(parser)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share."""
    add_config(parser)
    parser.add_argument('--work-dir', help='folder for logs and results '
                        '(default: ./work_dirs/<name of the config>)')
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
    if args.launcher in ('none', 'pytorch'):  # Slurm and MPI have their own, which it reads.
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def add_npz_options(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add what the npz configs read: :func:`mmips.runs.sweep.use_npz`."""
    parser.add_argument('--npz', type=existing_file, required=required, help='.npz with '
                        'images_train, labels_train, images_test, labels_test')
    parser.add_argument('--max-classes', type=positive, help='first K classes of the .npz')
    parser.add_argument('--per-class', type=positive,
                        help='first M training images of each class')


def add_checkpoint_options(parser: argparse.ArgumentParser, whole: bool = False) -> None:
    """Add what names checkpoints, the images they see, of a 'whole' split, and where results go."""
    add_config(parser)
    parser.add_argument('checkpoints', nargs='+', metavar='CHECKPOINT',
                        help='checkpoints of this config')
    add_trust(parser)
    parser.add_argument('--names', nargs='+', metavar='NAME',
                        help='a name for each checkpoint (default: its folder and file)')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--split', choices=('test', 'val', 'train'), default='test',
                        help="data set of the config; train's images come through the test "
                        'pipeline (default: test)')
    if not whole:
        parser.add_argument('--max-images', type=positive, metavar='N',
                            help='so many images, evenly spread over the split (default: all)')
    parser.add_argument('--batch-size', type=positive, metavar='N',
                        help="images at a time (default: the config's)")
    parser.add_argument('--num-workers', type=at_least(0), metavar='N',
                        help="worker processes that load images (default: the config's)")
    parser.add_argument('--device', help='where to compute (default: cuda if there is one)')


def check_names(parser: argparse.ArgumentParser, args: Any) -> Any:
    """The options with the checkpoints' names filled in; ends the program where they cannot be."""
    # A checkpoint's folder and file, without its ending.
    args.names = args.names or [
        '/'.join(os.path.splitext(os.path.abspath(path))[0].split(os.sep)[-2:])
        for path in args.checkpoints]
    if len(args.names) != len(args.checkpoints):
        parser.error(f'--names needs a name for each of the {len(args.checkpoints)} checkpoints, '
                     f'got {len(args.names)}: {args.names}')
    if len(set(args.names)) < len(args.names):
        parser.error(f'the names must differ, got {args.names}: give --names')
    if getattr(args, 'pick', '') == 'disagree' and len(args.checkpoints) < 2:
        parser.error('--pick disagree compares two checkpoints or more, got one')
    return args
