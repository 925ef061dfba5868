# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The pair layout of a batch: query, partner, query, partner, ...; no other module knows it."""
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from mmips.errors import UserError

T = TypeVar('T', bound=Tensor | np.ndarray | Sequence)


def check_even(num_images: int) -> None:
    """Raise unless a batch of so many images can consist of pairs."""
    if num_images < 2 or num_images % 2:
        raise UserError(
            f'A batch of pairs needs an even number of images, but got {num_images}. Use '
            "sampler=dict(type='mmips.PairedClassSampler') and an even batch_size "
            '(it counts images, so 64 pairs are batch_size=128).')


def split_pairs(batch: T) -> tuple[T, T]:
    """Split 2P items into queries and partners; of a tensor or array they are views."""
    check_even(len(batch))
    return batch[0::2], batch[1::2]  # type: ignore[return-value]


def join_pairs(query: Tensor, partner: Tensor) -> Tensor:
    """Join queries and partners, each (P, ...), to a new batch (2P, ...)."""
    return torch.stack((query, partner), dim=1).flatten(0, 1)


def join_index_pairs(query: np.ndarray, partner: np.ndarray) -> np.ndarray:
    """Join dataset indices of queries and partners, each (P,), in batch order (2P,)."""
    return np.stack((query, partner), axis=1).ravel()


def fold_pairs(batch: Tensor) -> Tensor:
    """Lay the two members of every pair side by side: (2P, C, ...) becomes (P, 2C, ...).

    What treats all channels of an image alike, such as CutMix, then treats both members alike.
    A view where the memory layout allows it.
    """
    check_even(len(batch))
    return batch.reshape(len(batch) // 2, 2 * batch.shape[1], *batch.shape[2:])


def unfold_pairs(folded: Tensor) -> Tensor:
    """Undo :func:`fold_pairs`: (P, 2C, ...) becomes (2P, C, ...)."""
    return folded.reshape(2 * len(folded), folded.shape[1] // 2, *folded.shape[2:])


def pairs_match(target: Tensor) -> Tensor:
    """Which pairs have one label, or the same scores (2P, K): bool (P,), on the target's device."""
    query, partner = split_pairs(target)
    same = query == partner
    return same if same.ndim == 1 else same.flatten(1).all(1)
