"""What a Step tells its readers, and what it does not hold on to."""
import pytest
import torch

from mmips.structures import Step


def test_pairs_and_labels():
    step = Step(torch.arange(12.).view(4, 3), torch.tensor([1, 1, 0, 2]))
    query, partner = step.pairs
    assert query[:, 0].tolist() == [0, 6] and partner[:, 0].tolist() == [3, 9]
    assert step.matched.tolist() == [True, False]
    scores = torch.eye(3)[[1, 1, 0, 2]]
    assert Step(step.logits, scores).matched.tolist() == [True, False]


def test_detached_it_holds_neither_a_graph_nor_features():
    logits = torch.ones(2, 3, requires_grad=True) * 2
    step = Step(logits, torch.zeros(2), features=(torch.ones(2), ), epoch=3, max_epochs=9)
    left = step.detach()
    assert not left.logits.requires_grad and left.features == ()
    assert (left.epoch, left.max_epochs) == (3, 9)
    with pytest.raises(AttributeError):
        left.epoch = 4
