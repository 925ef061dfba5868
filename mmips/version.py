# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The one place that holds the version; setup.py reads it without importing mmips."""

__all__ = ['__version__']

__version__ = '0.1.0'
