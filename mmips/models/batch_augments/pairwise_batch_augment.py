# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from collections.abc import Callable

import torch
from torch import Tensor

from mmips.registry import BATCH_AUGMENTS
from mmips.structures import fold_pairs, unfold_pairs

from .intra_class_patch_swap import swaps_in


@BATCH_AUGMENTS.register_module()
class PairwiseBatchAugment:
    """Apply a batch augment to whole pairs instead of single images.

    The two images of a pair are laid on top of each other along the channels, so that the augment
    sees P images of 2C channels: pairs are mixed with pairs, by one permutation, one box and one
    lambda for both members, and a mixed pair still has one (soft) label. Needed to combine IPS
    with CutMix, Mixup or CutOut (Table 13); used on single images they would tear pairs apart.

    Args:
        augment (dict | Callable): Config of any batch augment, mmpretrain's or ours, that
            treats the channels of an image alike.

    Raises:
        TypeError: For what is neither a config nor callable.
        ValueError: For a patch swap in it, which works on pairs by itself.
    """

    def __init__(self, augment: dict | Callable) -> None:
        self.augment = augment if callable(augment) else BATCH_AUGMENTS.build(augment)
        if swaps_in(self.augment):
            raise ValueError(
                'PairwiseBatchAugment would swap patches between different pairs, not inside them. '
                'Put mmips.IntraClassPatchSwap beside it in augments=[...] of '
                'mmips.SequentialBatchAugment.')

    @torch.compiler.disable
    def __call__(self, batch_input: Tensor, batch_score: Tensor) -> tuple[Tensor, Tensor]:
        """Augment images (2P, C, H, W) and their labels (2P, K); may write into them."""
        images, scores = self.augment(fold_pairs(batch_input), fold_pairs(batch_score))
        return unfold_pairs(images), unfold_pairs(scores).float()
