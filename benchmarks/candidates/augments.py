# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
import torch.nn.functional as F
from torch import Tensor

from mmips.models.batch_augments import IntraClassPatchSwap
from mmips.models.batch_augments.rank_rng import RankRng
from mmips.registry import BATCH_AUGMENTS
from mmips.structures import join_pairs, split_pairs


@BATCH_AUGMENTS.register_module()
class CentreKeepingSwap(IntraClassPatchSwap):
    """A patch swap that never takes the cells at the centre, where the object mostly is."""

    def draw_mask(self, num_pairs: int) -> Tensor:
        """The drawn cells without the middle half of the rows and columns."""
        mask = super().draw_mask(num_pairs)
        rows, cols = self.grid_size
        mask[:, rows // 4:rows - rows // 4, cols // 4:cols - cols // 4] = False
        return mask


@BATCH_AUGMENTS.register_module()
class LowResolutionPartner:
    """Show the second member of every pair at half of its resolution."""

    def __call__(self, batch_input: Tensor, batch_score: Tensor) -> tuple[Tensor, Tensor]:
        """Images (2P, C, H, W); every other one is averaged over 2x2 pixels and enlarged."""
        query, partner = split_pairs(batch_input)
        small = F.avg_pool2d(partner, 2)
        partner = F.interpolate(small, size=batch_input.shape[-2:], mode='bilinear')
        return join_pairs(query, partner), batch_score.float()


@BATCH_AUGMENTS.register_module()
class MinedPairs:
    """Reorder an ordinary batch so that images of one class are pairs; the rest comes last.

    The data samples stay in their old order: nothing may ask for their numbers.
    """

    def __init__(self) -> None:
        self._rng = RankRng(stream='MinedPairs')

    @torch.no_grad()
    def __call__(self, batch_input: Tensor, batch_score: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) and scores (N, K) in another order."""
        labels = batch_score.argmax(1).cpu()
        order = torch.from_numpy(self._rng().permutation(len(labels)))
        order = order[labels[order].argsort(stable=True)]
        _, counts = labels[order].unique_consecutive(return_counts=True)
        last = counts.cumsum(0) - 1
        odd = torch.zeros(len(order), dtype=torch.bool)
        odd[last[counts % 2 == 1]] = True
        order = torch.cat([order[~odd], order[odd]]).to(batch_input.device)
        return batch_input[order], batch_score[order].float()
