# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What can be said of a config before anything is trained."""
