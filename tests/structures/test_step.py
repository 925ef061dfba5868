"""What a Step tells its readers, and what it does not hold on to."""
import torch

from mmips.structures import Step


def test_detached_it_holds_neither_a_graph_nor_maps():
    logits = torch.ones(2, 3, requires_grad=True) * 2
    early, last = logits[:, :1], logits[:, 1:]
    step = Step(logits, torch.zeros(2), features=(early, last), maps=(early, last), epoch=3,
                max_epochs=9)
    left = step.detach()
    assert not left.logits.requires_grad and left.maps == ()
    features, = left.features
    assert torch.equal(features, last) and not features.requires_grad
    assert (left.epoch, left.max_epochs) == (3, 9)


def test_scores_are_those_of_the_target_or_one_hot():
    logits, soft = torch.zeros(2, 3), torch.tensor([[.5, .5, 0], [0, 0, 1]], dtype=torch.float64)
    assert Step(logits, torch.tensor([2, 0])).scores.tolist() == [[0, 0, 1], [1, 0, 0]]
    scores = Step(logits, soft).scores
    assert scores.dtype == torch.float32 and torch.equal(scores, soft.float())
