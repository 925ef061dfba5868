# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Callable
from typing import Any

from mmips.registry import BATCH_AUGMENTS

__all__ = ['build_augment']


def build_augment(augment: Any) -> Callable:
    """Build a batch augment from its config; one that is built already is returned.

    Args:
        augment (dict | Callable): Config, or an augment itself.

    Returns:
        Callable: Maps (images, scores) to (images, scores).

    Raises:
        TypeError: For anything else.
    """
    if isinstance(augment, dict):
        augment = BATCH_AUGMENTS.build(augment)
    if not callable(augment):
        raise TypeError("A batch augment is a config like dict(type='CutMix', alpha=1.0) or a "
                        f'callable, but got {augment!r}.')
    return augment
