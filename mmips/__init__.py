# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Self-distillation by intra-class patch swap, as parts and configs for OpenMMLab.

Importing mmips checks the environment and lets mmengine resolve
``_base_ = 'mmips::ips/x.py'``; the registered parts are imported when the first
``type='mmips.X'`` is built.
"""
from mmips import compat
from mmips.config.paths import base, cfg
from mmips.version import __version__

__all__ = ['__version__', 'base', 'cfg']

compat.check_environment()
compat.extend_config_packages()
