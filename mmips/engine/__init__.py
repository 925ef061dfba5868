# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What the Runner builds: hooks and seeding."""
