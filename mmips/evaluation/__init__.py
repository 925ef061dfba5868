# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Scores beyond those that the toolboxes report."""
