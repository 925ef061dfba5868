# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Self-distillation by intra-class patch swap, as parts and configs for OpenMMLab.

Importing mmips checks the environment and lets mmengine resolve
``_base_ = 'mmips::ips/x.py'``; the registered parts are imported when the first
``type='mmips.X'`` is built, and what reads from object stores with the first
``backend='mmips.Fsspec'`` or URL.
"""
from typing import Any

from mmips import compat
from mmips.config.paths import base, cfg
from mmips.version import __version__

__all__ = ['__version__', 'base', 'cfg']

compat.check_environment()
compat.extend_config_packages()


def _fsspec(**options: Any) -> Any:
    # mmips.datasets brings the toolboxes, which take seconds to import.
    from mmips.datasets.fsspec_backend import FsspecBackend
    return FsspecBackend(**options)


def _add_file_backend() -> None:
    """Let mmengine find our file backend, by its name and by the URLs that it has none for."""
    from mmengine.fileio.backends import backends, prefix_to_backends

    backends['mmips.Fsspec'] = _fsspec
    if not compat.has_package('petrel_client'):  # without it mmengine's own cannot be made
        prefix_to_backends['s3'] = _fsspec
    for prefix in ('s3', 'gs', 'hf', 'memory'):
        prefix_to_backends.setdefault(prefix, _fsspec)


_add_file_backend()
