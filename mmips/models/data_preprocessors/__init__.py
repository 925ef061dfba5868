# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .batch_data_preprocessor import BatchDataPreprocessor

__all__ = ['BatchDataPreprocessor']
