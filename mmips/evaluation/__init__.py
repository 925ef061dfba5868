# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Scores beyond those that the toolboxes report."""
from .per_class import (
                        CLASS_METRICS,
                        ClassScores,
                        check_metric,
                        class_scores,
                        comparison_table,
                        write_comparison,
)

__all__ = ['CLASS_METRICS', 'ClassScores', 'check_metric', 'class_scores', 'comparison_table',
           'write_comparison']
