"""The loss module: its options reach the function, and it adds nothing to a checkpoint."""
import pytest
import torch

from mmips.functional import pair_kl
from mmips.models.losses import PairKLLoss
from mmips.structures import Step, join_pairs


def step_of(query, partner, mismatched=()):
    target = torch.zeros(2 * len(query))
    target[[2 * pair for pair in mismatched]] = 1
    return Step(join_pairs(query, partner), target)


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(5)
    return [3 * torch.randn(4, 6, generator=generator, dtype=torch.float64) for _ in range(2)]


@pytest.mark.parametrize('options', [
    {}, dict(temperature=3.), dict(scale_by_t2=False), dict(detach='query'), dict(symmetric=False),
    dict(activation='sigmoid')])
def test_every_option_reaches_the_function(pair, options):
    results = []
    for function in (lambda q, p: PairKLLoss(**options)(step_of(q, p)),
                     lambda q, p: pair_kl(q, p, **options)):
        leaves = [z.clone().requires_grad_() for z in pair]
        loss = function(*leaves)
        results.append((loss, *torch.autograd.grad(loss, leaves, materialize_grads=True)))
    assert all(torch.equal(ours, expected) for ours, expected in zip(*results))
    assert not PairKLLoss(**options).state_dict()


def test_pairs_of_two_labels_are_left_out(pair):
    loss = PairKLLoss()(step_of(*pair, mismatched=[1, 2]))
    assert torch.equal(loss, pair_kl(*pair, valid=torch.tensor([True, False, False, True])))
    assert not torch.equal(loss, PairKLLoss()(step_of(*pair)))
