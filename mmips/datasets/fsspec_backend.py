# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import hashlib
import logging
import os
import posixpath
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
from mmengine.fileio import BaseStorageBackend, LocalBackend
from mmengine.logging import print_log

from mmips.compat import EnvironmentProblem
from mmips.errors import MissingFileError, UserError

from .files import is_remote, printable, reason

#: So many objects of a batch are fetched at once.
_CONNECTIONS = 64
# A forked worker lets go of its parent's file systems, and s3fs waits a second for each when it is
# collected, unless somebody still has it.
_KEPT: dict[int, Any] = {}
# These file systems try again by themselves, which cannot be turned off.
_PERSISTENT = ('gs', 'gcs', 'hf')
# Another try would end the same way.
_FINAL = (PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError, ImportError,
          LookupError, TypeError, ValueError)


class FsspecBackend(BaseStorageBackend):
    """Files in object stores and wherever else fsspec reads, for mmengine's ``backend_args``.

    ``backend_args=dict(backend='mmips.Fsspec')`` in a data set or a ``LoadImageFromFile`` of
    mmpretrain, mmseg or mmdet reads ``s3://`` (needs s3fs), ``gs://`` (gcsfs), ``http://`` and
    ``https://`` (aiohttp), ``hf://``, ``memory://`` and other URLs, and paths on disk as mmengine's
    ``LocalBackend`` does. Paths and listings mean what they mean there.

    What takes no ``backend_args``, such as mmpretrain's ``CustomDataset`` and ``ImageNet`` and
    our ``ImageFolder``, goes by the URL: ``s3://``, ``gs://``, ``hf://`` and ``memory://`` come
    here, with the ``storage_options`` of fsspec's own settings, such as the environment variable
    ``FSSPEC_S3_ENDPOINT_URL``.

    A recipe that reads an image twice an epoch fetches it once with ``cache``, a folder that all
    workers share: on a disk, or in memory as ``/dev/shm/images``. It holds whole files, is never
    emptied, and does not notice a later change in the store: delete it then. (URLs chained by
    ``::``, fsspec's way to a cache, are cut apart by mmengine, and its caches show a file to other
    processes while it is being written.)

    Args:
        storage_options (dict, optional): Arguments of the file system, such as
            ``dict(endpoint_url='https://...', anon=True)`` for s3fs. Default: None.
        retries (int): Further tries after an error that may pass: of the server, of the network,
            a body that is cut off, no answer in time. s3fs's own tries are turned off; gcsfs and
            ``hf://`` have theirs instead. Default: 4.
        pause (float): Seconds before the second try, doubled before each further one.
            Default: 0.5.
        timeout (float): Seconds that one try may take for one file; ``hf://`` has a time of its
            own. Default: 60.
        cache (str, optional): Local folder for what has been read. Default: None.

    Raises:
        UserError: For bad arguments, and if a file cannot be read, with its name and the reason;
            a ``MissingFileError`` if it does not exist.
    """

    def __init__(self, storage_options: dict | None = None, retries: int = 4, pause: float = 0.5,
                 timeout: float = 60, cache: str | None = None) -> None:
        for name, value, least in (('retries', retries, 0), ('pause', pause, 0),
                                   ('timeout', timeout, 1e-3)):
            if not isinstance(value, (int, float)) or value < least:
                raise UserError(f'backend_args: {name} must be a number of at least {least}, '
                                f'got {value!r}.')
        self.storage_options = _plain(storage_options or {})
        self.retries, self.pause, self.timeout = int(retries), pause, timeout
        self.cache = Path(cache).expanduser() if cache else None
        if self.cache:
            try:
                self.cache.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f'backend_args: cannot make the folder cache={cache!r} '
                                f'({reason(error)}); name another one.') from error
        self._is_full = False
        self._local = LocalBackend()

    def get(self, filepath: str | Path) -> bytes:
        """The bytes of a file."""
        path = str(filepath)
        if not is_remote(path):
            return self._local.get(path)
        copy = self._copy_of(path)
        if copy:
            with suppress(FileNotFoundError):
                return copy.read_bytes()
        content = self._call('cat_file', path)
        if copy and not self._is_full:
            self._keep(copy, content)
        return content

    def get_batch(self, filepaths: Sequence[str]) -> list[bytes]:
        """The bytes of many files, fetched at the same time, in the order of the paths."""
        paths = list(dict.fromkeys(map(str, filepaths)))
        with ThreadPoolExecutor(min(len(paths), _CONNECTIONS) or 1) as pool:
            contents = dict(zip(paths, pool.map(self.get, paths)))
        return [contents[str(path)] for path in filepaths]

    def get_text(self, filepath: str | Path, encoding: str = 'utf-8') -> str:
        """The text of a file."""
        return self.get(filepath).decode(encoding)

    def exists(self, filepath: str | Path) -> bool:
        """Whether there is a file or folder."""
        return self._type(filepath) != ''

    def isdir(self, filepath: str | Path) -> bool:
        """Whether there is a folder; in an object store, anything below it."""
        return self._type(filepath) == 'directory'

    def isfile(self, filepath: str | Path) -> bool:
        """Whether there is a file."""
        return self._type(filepath) == 'file'

    def join_path(self, filepath: str | Path, *filepaths: str | Path) -> str:
        """Join parts of a path; a part that starts with a slash stays below a URL."""
        first, rest = str(filepath), list(map(str, filepaths))
        return posixpath.join(first, *(part.lstrip('/') if is_remote(first) else part
                                       for part in rest))

    @contextmanager
    def get_local_path(self, filepath: str | Path) -> Iterator[str]:
        """Within it, a path on disk with the content of a file: itself, in ``cache``, or a copy."""
        path = str(filepath)
        if not is_remote(path):
            yield path
            return
        content, copy = self.get(path), self._copy_of(path)
        if copy and copy.exists():
            yield str(copy)
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, posixpath.basename(path) or 'file')
            file.write_bytes(content)
            yield str(file)

    def list_dir_or_file(self, dir_path: str | Path, list_dir: bool = True, list_file: bool = True,
                         suffix: str | tuple[str, ...] | None = None,
                         recursive: bool = False) -> Iterator[str]:
        """Yield paths relative to a folder, in any order, as mmengine's ``LocalBackend`` does.

        An object store is asked once, however many files and folders there are (by pages of a
        thousand); no file is read.
        """
        path = str(dir_path)
        if not is_remote(path):
            return self._local.list_dir_or_file(path, list_dir, list_file, suffix, recursive)
        if list_dir and suffix is not None:
            raise TypeError('`suffix` should be None when `list_dir` is True')
        return self._list(path, list_dir, list_file, suffix, recursive)

    def _list(self, path: str, list_dir: bool, list_file: bool,
              suffix: str | tuple[str, ...] | None, recursive: bool) -> Iterator[str]:
        root = self._system(path)[1].rstrip('/')
        if recursive:
            entries = self._call('find', path, withdirs=True, detail=True).values()
        else:
            entries = self._call('ls', path, detail=True)
        # A key that ends in a slash stands for an empty folder.
        below = {entry['name'].rstrip('/')[len(root):].lstrip('/'):
                 entry['type'] == 'directory' or entry['name'].endswith('/') for entry in entries}
        if set(below) <= {''} and not self.isdir(path):
            raise MissingFileError(f'{printable(path)} is no folder: correct its path.')
        for name, is_folder in below.items():
            if is_folder and name and list_dir:
                yield name
            # LocalBackend leaves out hidden files, but nothing in hidden folders.
            if (not is_folder and name and list_file and (suffix is None or name.endswith(suffix))
                    and not posixpath.basename(name).startswith('.')):
                yield name

    def _type(self, filepath: str | Path) -> str:
        """'directory', 'file', or '' for nothing."""
        path = str(filepath)
        if not is_remote(path):
            return ('directory' if self._local.isdir(path) else 'file'
                    if self._local.exists(path) else '')
        try:
            return self._call('info', path)['type']
        except MissingFileError:
            return ''

    def _copy_of(self, path: str) -> Path | None:
        """Where the cache has a file, if there is a cache."""
        if not self.cache:
            return None
        # Two stores may have a bucket of one name.
        key = f'{self.storage_options.get("endpoint_url", "")} {path}'
        return self.cache / hashlib.sha256(key.encode()).hexdigest()

    def _keep(self, copy: Path, content: bytes) -> None:
        """Put a file into the cache in one step: other workers may look for it meanwhile."""
        part = copy.with_name(f'{copy.name}.{uuid.uuid4().hex}')
        try:
            part.write_bytes(content)
            os.replace(part, copy)
        except OSError as error:
            part.unlink(missing_ok=True)
            print_log(f'{copy.parent} takes no more files ({reason(error)}): what is not in it is '
                      'fetched anew each time.', 'current', logging.WARNING)
            self._is_full = True

    def _system(self, path: str) -> tuple[Any, str]:
        """The file system of a URL, and what it calls the path."""
        options, protocol = self.storage_options, path.partition('://')[0]
        if protocol in ('s3', 's3a'):
            # Without max_concurrency=1 each file is asked for its size first, and of a listing
            # that is kept, millions of images fill gigabytes in each worker.
            options = {'max_concurrency': 1, 'use_listings_cache': False, **options}
            options['config_kwargs'] = {
                'max_pool_connections': _CONNECTIONS, 'retries': {'max_attempts': 0},
                'connect_timeout': self.timeout, 'read_timeout': self.timeout,
                **options.get('config_kwargs', {})}
        try:
            # fsspec has one for each process and set of options, made when it is asked for.
            system, name = fsspec.core.url_to_fs(path, **options)
        except ImportError as error:
            missing = getattr(error.__cause__ or error, 'name', None) or protocol
            raise EnvironmentProblem(f'{printable(path)} needs {missing}, which is not installed; '
                                     f'install it with: pip install {missing}') from error
        except (TypeError, ValueError) as error:
            raise UserError(f'{printable(path)} cannot be reached ({reason(error)}): correct it or '
                            'the storage_options of its backend_args.') from error
        if protocol in ('s3', 's3a'):
            system.retries = 1
        if system.async_impl:
            _KEPT[id(system)] = system
        return system, name

    def _call(self, method: str, path: str, **options: Any) -> Any:
        """What a file system's method makes of a path, tried again where that may help."""
        system, name = self._system(path)
        if system.async_impl and method in ('cat_file', 'info'):
            options['timeout'] = self.timeout
        retries = 0 if path.partition('://')[0] in _PERSISTENT else self.retries
        for number in range(retries + 1):
            try:
                return getattr(system, method)(name, **options)
            except FileNotFoundError as error:
                raise MissingFileError(f'{printable(path)} does not exist ({reason(error)}): '
                                       'correct its path.') from error
            except Exception as error:  # each file system has its own
                last = error
            if _is_final(last):
                raise UserError(
                    f'{printable(path)} cannot be read ({reason(last)}): correct its path, or the '
                    'storage_options of its backend_args (key, secret; anon=True for a public '
                    'bucket).') from last
            if number < retries:
                time.sleep(self.pause * 2**number)
        what = (f'no answer within {self.timeout:g} s' if 'Timeout' in type(last).__name__ else
                reason(last))
        raise UserError(f'{printable(path)} cannot be read ({what}, at try {retries + 1}): see '
                        'whether the store can be reached, or raise retries or timeout of its '
                        'backend_args.') from last


def _is_final(error: Exception) -> bool:
    """Whether an error would come again."""
    response = getattr(error.__cause__, 'response', None) or {}
    status = getattr(error, 'status', None) or (
        response.get('ResponseMetadata', {}).get('HTTPStatusCode'))
    if isinstance(status, int) and status >= 400:
        return status < 500 and status not in (408, 429)
    return isinstance(error, _FINAL) or 'Credentials' in type(error).__name__


def _plain(options: Any) -> Any:
    """A config's dicts as Python's own, which botocore and fsspec's keys expect."""
    if isinstance(options, dict):
        return {key: _plain(value) for key, value in options.items()}
    return options
