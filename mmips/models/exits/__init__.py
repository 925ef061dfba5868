# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .stage_exit import StageExit

__all__ = ['StageExit']
