# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Transforms for pipelines of any toolbox; they exist only where mmcv is installed."""
from mmips.compat import has_package

__all__: list[str] = []

if has_package('mmcv'):
    from .corrupt_image import CorruptImage

    __all__ += ['CorruptImage']
