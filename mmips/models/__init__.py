# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from mmips.compat import has_package

__all__ = []

if has_package('mmpretrain'):
    from .backbones import *  # noqa: F401,F403
    from .batch_augments import *  # noqa: F401,F403
    from .classifiers import *  # noqa: F401,F403
    from .losses import *  # noqa: F401,F403
