"""Augments one after the other, in the order given: mixing before and after the swap."""
import numpy as np
import pytest
import torch

from mmips.models.batch_augments import (
    IntraClassPatchSwap,
    PairwiseBatchAugment,
    SequentialBatchAugment,
)
from mmips.structures import pairs_match

PAIRS = 6
SWAP = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=1.)
MIXES = [dict(type='mmips.CutOut'), *(dict(type=name, alpha=1.0)
                                      for name in ('CutMix', 'Mixup', 'ResizeMix'))]


@pytest.fixture
def batch():
    labels = torch.arange(PAIRS).repeat_interleave(2)
    return torch.randn(2 * PAIRS, 3, 8, 8), torch.nn.functional.one_hot(labels, PAIRS)


@pytest.mark.parametrize('mix', MIXES)
@pytest.mark.parametrize('swap_first', [False, True])
def test_mixing_before_and_after_the_swap(batch, mix, swap_first):
    order = slice(None, None, -1 if swap_first else 1)
    results = []
    for augments in ([PairwiseBatchAugment(mix), IntraClassPatchSwap(2, 1.)],
                     [SequentialBatchAugment([dict(type='mmips.PairwiseBatchAugment', augment=mix),
                                              SWAP][order])]):
        torch.manual_seed(2)
        np.random.seed(2)
        images, scores = batch[0].clone(), batch[1].clone()
        for augment in augments[order]:
            images, scores = augment(images, scores)
        results.append((images, scores))
    assert all(torch.equal(one, other) for one, other in zip(*results))
    assert pairs_match(scores).all() and not torch.equal(images, batch[0])
    swap = augments[0].augments[0 if swap_first else 1]
    assert swap.last_mask.flatten(1).any(1).sum() == PAIRS


def test_two_equal_swaps_do_not_undo_each_other():
    images = torch.rand(64, 3, 8, 8)
    augment = SequentialBatchAugment([dict(SWAP, grid_size=4), dict(SWAP, grid_size=4)])
    swapped, _ = augment(images.clone(), torch.eye(2).repeat_interleave(32, 0))
    assert (swapped != images).flatten(1).any(1).float().mean() > 0.9


@pytest.mark.parametrize('augments', [SWAP, ['CutMix'], [None]])
def test_refuses(augments):
    with pytest.raises(TypeError, match='should be a dict.* but got <class'):
        SequentialBatchAugment(augments)
