# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections import Counter
from collections.abc import Callable, Sequence

from torch import Tensor

from mmips.registry import BATCH_AUGMENTS

from .rank_rng import RankRng


@BATCH_AUGMENTS.register_module()
class SequentialBatchAugment:
    """Apply batch augments one after the other.

    mmpretrain picks one augment of its list for each batch; this one applies all, in
    order, which is how mixing is put before or after the patch swap.

    Args:
        augments (Sequence[dict | Callable]): The augments, first to last.

    Raises:
        TypeError: If one of them is neither a config nor callable.
    """

    def __init__(self, augments: Sequence[dict | Callable]) -> None:
        self.augments = [augment if callable(augment) else BATCH_AUGMENTS.build(augment)
                         for augment in augments]
        seen: Counter[str] = Counter()
        for augment in self.augments:
            rng = getattr(getattr(augment, 'augment', augment), '_rng', None)
            if isinstance(rng, RankRng):
                rng.place = seen[rng.stream]
                seen[rng.stream] += 1

    def __call__(self, batch_input: Tensor, batch_score: Tensor) -> tuple[Tensor, Tensor]:
        """Augment images (N, C, H, W) and their labels (N, K); may write into them."""
        for augment in self.augments:
            batch_input, batch_score = augment(batch_input, batch_score)
        return batch_input, batch_score
