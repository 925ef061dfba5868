"""The pair layout: split, join, fold, and which pairs have one label."""
import numpy as np
import pytest
import torch

from mmips.errors import UserError
from mmips.structures import (
    check_even,
    fold_pairs,
    join_index_pairs,
    join_pairs,
    pairs_match,
    split_pairs,
    unfold_pairs,
)


@pytest.mark.parametrize('refused', [
    lambda: check_even(0), lambda: split_pairs(torch.zeros(3, 1)),
    lambda: fold_pairs(torch.zeros(5, 3)), lambda: pairs_match(torch.tensor([1]))])
def test_odd_and_empty_batches_are_refused_with_what_to_change(refused):
    with pytest.raises(UserError, match=r'even number.*got [0135]\..*mmips\.PairedClassSampler'
                                        r'.*batch_size=128'):
        refused()


def test_split_takes_neighbours_apart():
    query, partner = split_pairs(torch.arange(6))
    assert split_pairs(['a', 'b', 'c', 'd']) == (['a', 'c'], ['b', 'd'])
    assert query.tolist() == [0, 2, 4]
    assert partner.tolist() == [1, 3, 5]


def test_split_gives_views():
    batch = torch.zeros(4, 2)
    query, partner = split_pairs(batch)
    query += 1
    partner -= 1
    assert batch[:, 0].tolist() == [1, -1, 1, -1]


def test_join_undoes_split():
    batch = torch.randn(6, 3, 2)
    joined = join_pairs(*split_pairs(batch))
    assert torch.equal(joined, batch)
    assert joined.data_ptr() != batch.data_ptr()


def test_join_refuses_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match=r'same shape, but got \(2, 3\) and \(2, 1\)'):
        join_pairs(torch.zeros(2, 3), torch.zeros(2, 1))


def test_index_pairs_are_joined_in_the_order_that_split_reads():
    indices = join_index_pairs(np.array([5, 7]), np.array([6, 8]))
    assert indices.tolist() == [5, 6, 7, 8]
    assert split_pairs(indices.tolist()) == ([5, 7], [6, 8])


def test_fold_lays_both_members_along_the_channels():
    batch = torch.arange(4 * 3 * 2 * 2).view(4, 3, 2, 2)
    folded = fold_pairs(batch)
    query, partner = split_pairs(batch)
    assert folded.shape == (2, 6, 2, 2)
    assert torch.equal(folded[:, :3], query)
    assert torch.equal(folded[:, 3:], partner)
    assert folded.data_ptr() == batch.data_ptr(), 'a contiguous batch should not be copied'


@pytest.mark.parametrize('channels_last', [False, True])
def test_unfold_undoes_fold(channels_last):
    batch = torch.randn(6, 3, 5, 4)
    if channels_last:
        batch = batch.contiguous(memory_format=torch.channels_last)
    assert torch.equal(unfold_pairs(fold_pairs(batch)), batch)


@pytest.mark.parametrize('shape', [(2, 3, 4, 4), (4, )])
def test_unfold_refuses_what_fold_cannot_have_made(shape):
    with pytest.raises(ValueError, match='even size in dimension 1, but got shape'):
        unfold_pairs(torch.zeros(shape))


def test_labels_match_per_pair():
    assert pairs_match(torch.tensor([1, 1, 0, 2, 3, 3])).tolist() == [True, False, True]


def test_scores_match_only_when_every_class_agrees():
    scores = torch.tensor([[.5, .5, 0.], [.5, .5, 0.], [.5, .5, 0.], [.5, 0., .5]])
    match = pairs_match(scores)
    assert match.dtype == torch.bool
    assert match.tolist() == [True, False]
