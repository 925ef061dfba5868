# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A work directory on disk: files, runs, launching, publishing, sweeps."""
