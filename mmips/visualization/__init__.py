# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Pictures of what a config does to images."""
from .denormalize import denormalize
from .pairs import draw_pairs

__all__ = ['denormalize', 'draw_pairs']
