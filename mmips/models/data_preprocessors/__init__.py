# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from .batch_data_preprocessor import BatchDataPreprocessor
from .decode_data_preprocessor import DecodeDataPreprocessor

__all__ = ['BatchDataPreprocessor', 'DecodeDataPreprocessor']
