# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What surrounds a run: hooks, seeding, the start of processes and the checks before training.

Nothing is imported here: the registries name their own modules and the tools import
the others where they need them, so that ``import mmips.engine`` costs nothing.
"""

__all__: list[str] = []
