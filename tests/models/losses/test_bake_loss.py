"""BAKE's loss against the walk it is the limit of."""
import pytest
import torch

from mmips.errors import UserError
from mmips.models.losses import BAKELoss
from mmips.structures import Step


@pytest.fixture
def leaves():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(6, size, generator=generator, dtype=torch.float64, requires_grad=True)
            for size in (5, 7)]


def reference(logits, features, omega, t):
    """Targets by many steps of Q <- omega W Q + (1 - omega) P, in plain loops."""
    p = [(row / t).exp() / (row / t).exp().sum() for row in logits]
    start = [row.detach() for row in p]
    unit = [row / row.square().sum().sqrt() for row in features.detach()]
    weights = []
    for i in range(6):
        row = [(unit[i] @ unit[j]).exp() if i != j else 0. for j in range(6)]
        weights.append([value / sum(row) for value in row])
    goal = start
    for _ in range(400):
        goal = [omega * sum(w * q for w, q in zip(weights[i], goal)) + (1 - omega) * start[i]
                for i in range(6)]
    assert all(abs(row.sum() - 1) < 1e-9 for row in goal)
    return t * t / 6 * sum(q * (q.log() - mine.log()) for row, own in zip(goal, p)
                           for q, mine in zip(row, own))


@pytest.mark.parametrize('options', [{}, dict(omega=.9, temperature=2.)])
def test_is_the_formula_in_value_and_gradient(leaves, options):
    logits, features = leaves
    ours = BAKELoss(**options)(Step(logits, torch.zeros(6), (features, )))
    expected = reference(*leaves, options.get('omega', .5), options.get('temperature', 4.))
    assert ours.item() == pytest.approx(expected.item(), rel=1e-9)
    gradients = [torch.autograd.grad(loss, leaves, allow_unused=True)
                 for loss in (ours, expected)]
    assert torch.allclose(gradients[0][0], gradients[1][0], rtol=1e-7, atol=1e-11)
    assert gradients[0][1] is None is gradients[1][1]


def test_half_precision_is_widened_and_nobody_else_means_no_change(leaves):
    with torch.autocast('cpu', torch.bfloat16):
        half = BAKELoss()(Step(leaves[0].bfloat16(), torch.zeros(6), (leaves[1].bfloat16(), )))
        assert half.dtype == torch.float32
    whole = BAKELoss()(Step(leaves[0], torch.zeros(6), (leaves[1], )))
    assert half.item() == pytest.approx(whole.item(), rel=.05)
    assert BAKELoss(omega=0)(Step(leaves[0], torch.zeros(6), (leaves[1], ))).abs() < 1e-12


def test_refuses_what_makes_no_sense():
    for option in (dict(omega=1), dict(omega=-.1), dict(temperature=0)):
        with pytest.raises(ValueError, match=f'{next(iter(option))} must be .*but got'):
            BAKELoss(**option)
    with pytest.raises(UserError, match='but got a batch of one'):
        BAKELoss()(Step(torch.zeros(1, 5), torch.zeros(1), (torch.zeros(1, 7), )))
