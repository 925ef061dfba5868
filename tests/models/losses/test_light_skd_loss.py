"""LightSKD's loss and memory against loops, over epochs whose last batch is smaller."""
import pytest
import torch

from mmips.errors import UserError
from mmips.models.losses import LightSKDLoss
from mmips.structures import Step

CLASSES, SIZE = 5, 4


def build(**options):
    torch.manual_seed(0)
    loss = LightSKDLoss(3, CLASSES, **options)
    loss.allocate(loss.plan(10, CLASSES, SIZE), torch.device('cpu'))
    return loss.double()


def batch(num, seed):
    generator = torch.Generator().manual_seed(seed)
    logits, stage = (torch.randn(num, *shape, generator=generator, dtype=torch.float64,
                                 requires_grad=True) for shape in ((CLASSES, ), (3, 8, 8)))
    target = torch.randint(CLASSES, (num, ), generator=generator)
    others = torch.zeros(num, 2, 4, 4, dtype=torch.float64)
    return Step(3 * logits, target, maps=(others, stage, others, others)), [logits, stage]


def softmax(row, t=1.):
    whole = sum((z / t).exp() for z in row)
    return [(z / t).exp() / whole for z in row]


def kl(goal, row, t):
    return t * t * sum(p * (p.log() - q.log()) for p, q in zip(softmax(goal, t), softmax(row, t)))


def reference(step, aux, before, alpha, beta, t):
    """Image by image; ``before`` are the rows of the last batch."""
    num = len(aux)
    hard = -sum(softmax(row)[label].log() for row, label in zip(aux, step.target)) / num
    guidance = sum(kl(a, z, t) for a, z in zip(aux.detach(), step.logits)) / num
    pairs = list(zip(before, step.logits))
    shape = sum(kl(sorted(old), sorted(new), t) for old, new in pairs) / max(len(pairs), 1)
    return hard + alpha * guidance + beta * shape


@pytest.mark.parametrize('options', [
    {}, dict(guidance_weight=.7, shape_weight=.4, temperature=2.)])
def test_is_the_formula_over_three_epochs(options):
    loss = build(**options)
    settings = dict(dict(guidance_weight=.2, shape_weight=1., temperature=4.), **options)
    before = []
    for number, num in enumerate([4, 4, 2] * 3):
        step, leaves = batch(num, number)
        ours = loss(step)
        # The same statistics of batch norm once more.
        aux = loss.exit(leaves[1])
        expected = reference(step, aux, before, *settings.values())
        assert ours.item() == pytest.approx(expected.item(), rel=1e-9)
        wanted = [*leaves, *loss.exit.parameters()]
        for mine, theirs in zip(*(torch.autograd.grad(
                each, wanted, retain_graph=True) for each in (ours, expected))):
            assert torch.allclose(mine, theirs, rtol=1e-7, atol=1e-11)
        loss.update(step.detach())
        before = step.logits.detach()
    assert loss.count == 2 and len(loss.state_dict()) == len(loss.exit.state_dict())


def test_each_rank_remembers_its_own_batch():
    assert not LightSKDLoss.shared
    planned = build().plan(10, CLASSES, SIZE)
    assert {key: tuple(value.shape) for key, value in planned.items()} == {
        'sorted_logits': (SIZE, CLASSES), 'count': ()}


def test_refuses_other_maps_and_wrong_options():
    step, _ = batch(4, 0)
    for maps in (step.maps[3:], step.maps[::-1]):
        with pytest.raises(UserError, match=r'in_channels=3, but the backbone gives maps of \[\('):
            build()(Step(step.logits, step.target, maps=maps))
    for option in (dict(guidance_weight=-1), dict(shape_weight=-1), dict(temperature=0)):
        with pytest.raises(ValueError, match=f'{next(iter(option))}.*but got'):
            LightSKDLoss(3, 5, **option)
