# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from mmips.compat import has_mmcv_ops, has_package

__all__ = []

if has_package('mmpretrain'):
    from .backbones import *  # noqa: F401,F403
    from .batch_augments import *  # noqa: F401,F403
    from .classifiers import *  # noqa: F401,F403
    from .data_preprocessors import *  # noqa: F401,F403
    from .losses import *  # noqa: F401,F403
    from .targets import *  # noqa: F401,F403
if has_package('mmdet') and has_mmcv_ops():
    from .dense_heads import *  # noqa: F401,F403
