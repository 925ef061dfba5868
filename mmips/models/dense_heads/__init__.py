# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .ssd_head import SSDHead

__all__ = ['SSDHead']
