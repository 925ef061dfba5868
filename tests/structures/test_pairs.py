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


def test_split_takes_neighbours_apart_into_views_and_join_undoes_it():
    batch = torch.arange(6)
    query, partner = split_pairs(batch)
    assert query.tolist() == [0, 2, 4] and partner.tolist() == [1, 3, 5]
    joined = join_pairs(query, partner)
    assert torch.equal(joined, batch) and joined.data_ptr() != batch.data_ptr()
    partner -= 1
    assert batch.tolist() == [0, 0, 2, 2, 4, 4]
    assert split_pairs(['a', 'b', 'c', 'd']) == (['a', 'c'], ['b', 'd'])


def test_index_pairs_are_joined_in_the_order_that_split_reads():
    indices = join_index_pairs(np.array([5, 7]), np.array([6, 8]))
    assert indices.tolist() == [5, 6, 7, 8]
    assert split_pairs(indices.tolist()) == ([5, 7], [6, 8])


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_fold_lays_both_members_along_the_channels_and_unfold_undoes_it(layout):
    batch = torch.arange(4. * 3 * 2 * 2).view(4, 3, 2, 2).contiguous(memory_format=layout)
    folded = fold_pairs(batch)
    query, partner = split_pairs(batch)
    assert torch.equal(folded[:, :3], query) and torch.equal(folded[:, 3:], partner)
    assert torch.equal(unfold_pairs(folded), batch)
    if layout == torch.contiguous_format:
        assert folded.data_ptr() == batch.data_ptr(), 'this batch should not be copied'


def test_labels_or_scores_match_only_when_every_class_agrees():
    assert pairs_match(torch.tensor([1, 1, 0, 2, 3, 3])).tolist() == [True, False, True]
    scores = torch.tensor([[.5, .5, 0.], [.5, .5, 0.], [.5, .5, 0.], [.5, 0., .5]])
    assert pairs_match(scores).tolist() == [True, False]
