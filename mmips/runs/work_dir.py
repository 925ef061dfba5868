# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A run's folder: one run at a time, nothing that is finished overwritten, checkpoints whole."""
import contextlib
import errno
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmips.errors import UserError
from mmips.runs import files

_LOCK = '.lock'
# mmengine's names; whatever else lies in the folder is the user's own.
_CHECKPOINT = r'(epoch|iter)_\d+\.pth|best_.+\.pth'


@contextlib.contextmanager
def claimed(folder: str | os.PathLike) -> Iterator[None]:
    """Make a folder and keep other runs out of it; the claim ends with the process at the latest.

    Raises:
        UserError: If another process has it, which is named, or if nothing can be written there.
    """
    path = Path(folder, _LOCK)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, 'a+', encoding='utf-8')  # noqa: SIM115
    except OSError as error:
        raise UserError(f'The work directory {folder} cannot be written to: {error.strerror}. '
                        'Give another --work-dir.') from error
    with file:
        if _is_locked(file):
            file.seek(0)
            raise UserError(f'{folder} belongs to another run that is at work '
                            f'({file.read().strip() or "just started"}). Wait for it or end it, or '
                            'give another --work-dir.')
        file.seek(0)
        file.truncate()
        file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
        file.flush()
        yield


def _is_locked(file: Any) -> bool:
    """Lock a file, unless another process has; where there are no locks it never is."""
    try:
        import fcntl
        # Not flock: forked workers of data loaders would hold on to it.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows
        return False
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EAGAIN)
    return False


def checkpoints(folder: str | os.PathLike) -> list[Path]:
    """The checkpoints that training has left in a folder, the newest first.

    The newest is what ``last_checkpoint`` names, by the base name alone, since the folder may be a
    copy; or one saved after that, when a kill has come between a checkpoint and its name. Where the
    folder has none they are looked for where that file says: ``CheckpointHook`` has an ``out_dir``,
    and a ``filename_tmpl`` for other names.
    """
    named, pointer = _named(folder), Path(folder, 'last_checkpoint')

    def numbers(path: Path) -> list[int]:
        return [] if path.name.startswith('best_') else list(
            map(int, re.findall(r'\d+', path.name)))

    def order(path: Path) -> tuple:
        newer = path.lstat().st_mtime_ns > since and numbers(path) > numbers(named)
        return newer, path.name == named.name, numbers(path)

    since = pointer.stat().st_mtime_ns if pointer.is_file() else 0
    names = re.compile(f'{_CHECKPOINT}|' + re.sub(r'\d+', r'\\d+', re.escape(named.name)))
    for place in (Path(folder), named.parent):
        found = [path for path in place.glob('*') if names.fullmatch(path.name)]
        if found or not named.name:
            break
    return sorted(found, key=order, reverse=True)


def _named(folder: str | os.PathLike) -> Path:
    """What ``last_checkpoint`` names; an empty path where there is nothing to read."""
    with contextlib.suppress(OSError, ValueError):
        return Path(Path(folder, 'last_checkpoint').read_text(encoding='utf-8').strip())
    return Path()


def newest_whole(folder: str | os.PathLike) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that can be resumed from, and of each newer one why it cannot."""
    from mmips.structures.checkpoints import load_file
    problems: list[str] = []
    found, named = checkpoints(folder), _named(folder)
    if not found and named.name:
        problems.append(f'{Path(folder, "last_checkpoint")} names {named}, which is not there: say '
                        'where it is by --cfg-options load_from=...')
    for path in found:
        try:
            content = load_file(str(path), 'cpu')
            if 'optimizer' in content and 'message_hub' in content:
                return path, problems
            if not path.name.startswith('best_'):
                problems.append(f'{path} was saved without its optimizer.')
        except UserError as error:
            problems.append(str(error))
    return None, problems


def how_to_go_on(folder: str | os.PathLike) -> str:
    """What to do about a training run of train.py that was stopped."""
    found = checkpoints(folder)
    return (f'Stopped. The same command with --resume goes on from {found[0]}.' if found else
            'Stopped before a checkpoint was saved: the same command starts anew.')


def refuse_finished(folder: str | os.PathLike, overwrite: bool = False) -> None:
    """Raise where a run that does not resume would overwrite checkpoints; or remove them."""
    found = checkpoints(folder)
    if found and not overwrite:
        raise UserError(f'{folder} holds the checkpoints of a run, {found[0].name} the newest. Go '
                        'on with it by --resume, give another --work-dir, or --overwrite it.')
    for path in found:
        if path.parent == Path(folder):  # Another one may be shared.
            path.unlink()
    Path(folder, 'last_checkpoint').unlink(missing_ok=True)


def write_whole_files() -> None:
    """Have mmengine write checkpoints and results in one step, in this process from now on."""
    from mmengine.fileio import LocalBackend, register_backend

    class WholeFiles(LocalBackend):
        """The disk; a checkpoint that is to be removed is kept until the next one is whole."""

        _outdated: list[str] = []

        def put(self, obj: Any, filepath: Any) -> None:
            os.makedirs(os.path.dirname(os.path.abspath(filepath)), exist_ok=True)
            with files.replacing(filepath, 'wb') as file:
                file.write(obj)
            for path in {*self._outdated} - {str(filepath)}:
                Path(path).unlink(missing_ok=True)
            self._outdated.clear()

        def put_text(self, obj: str, filepath: Any, encoding: str = 'utf-8') -> None:
            self.put(obj.encode(encoding), filepath)

        def remove(self, filepath: Any) -> None:
            if str(filepath).endswith('.pth'):
                self._outdated.append(str(filepath))
            else:
                super().remove(filepath)

    register_backend('local', WholeFiles, force=True, prefixes='')
