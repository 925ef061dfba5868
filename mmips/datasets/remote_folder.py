# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .fsspec_backend import FsspecBackend


@dataclass(frozen=True)
class RemoteFolder:
    """A folder of an object store, with as much of a ``Path`` as the search for classes needs.

    How the store is reached is a matter of fsspec's own settings, such as the environment variable
    ``FSSPEC_S3_ENDPOINT_URL``: see :class:`~mmips.datasets.fsspec_backend.FsspecBackend`.

    Args:
        url: Such as 's3://bucket/images', without a slash at the end.
    """

    url: str

    def __truediv__(self, name: str) -> RemoteFolder:
        return RemoteFolder(f'{self.url}/{name}')

    def __str__(self) -> str:
        return self.url

    def absolute(self) -> RemoteFolder:
        """The folder itself."""
        return self

    def is_dir(self) -> bool:
        """Whether there is anything in it."""
        return FsspecBackend().isdir(self.url)

    def folders(self) -> Iterator[str]:
        """Names of the folders in it."""
        return FsspecBackend().list_dir_or_file(self.url, list_file=False)

    def files(self) -> Iterator[str]:
        """Paths of all files below it, relative to it, by one listing."""
        return FsspecBackend().list_dir_or_file(self.url, list_dir=False, recursive=True)
