"""USKD against the formula in loops, in value and in the gradients of all it trains."""
import math

import pytest
import torch
from helpers.alike import check_loss

from mmips.errors import UserError
from mmips.models.losses import USKDLoss
from mmips.structures import Step

NUMBER, CLASSES, WIDTH, SIDE = 5, 6, 4, 3
GENERATOR = torch.Generator().manual_seed(2)
LOGITS = 2 * torch.randn(NUMBER, CLASSES, generator=GENERATOR, dtype=torch.float64)
MAPS = 3 * torch.randn(NUMBER, WIDTH, SIDE, SIDE, generator=GENERATOR, dtype=torch.float64)
WEIGHT = torch.randn(CLASSES, WIDTH, generator=GENERATOR, dtype=torch.float64)
BIAS = torch.randn(CLASSES, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([0, 5, 2, 2, 1])


def softmax(row):
    total = sum(torch.exp(value) for value in row)
    return [torch.exp(value) / total for value in row]


def zipf(scores, label, count_label):
    """1 / rank of every class but the label, by counting down the sorted scores."""
    places = sorted(range(CLASSES), key=lambda c: -scores[c])
    if not count_label:
        places.remove(label)
    weights = {c: 1 / rank for rank, c in enumerate(places, 1) if c != label}
    return {c: weight / sum(weights.values()) for c, weight in weights.items()}


def reference(logits, maps, weight, bias, alpha, beta, mu, code):
    mean_square = sum(softmax(row.detach())[label]**2
                      for row, label in zip(logits, LABELS)) / NUMBER
    total = 0
    for z, image, label in zip(logits, maps, LABELS.tolist()):
        s = softmax(z)
        fixed = [value.item() for value in s]
        total = total - alpha * (fixed[label]**2 + 1 - mean_square) * torch.log(s[label])
        pooled = [sum(channel.flatten()) / SIDE**2 for channel in image]
        weak = [sum(w * p for w, p in zip(row, pooled)) + b for row, b in zip(weight, bias)]
        w = softmax(weak)
        known = [math.log(value) for value in fixed] if code else fixed
        scores = [w[c].item() / (1 - w[label].item()) + known[c] / (1 - known[label])
                  for c in range(CLASSES)]
        beside = 1 - s[label]
        for c, target in zipf(scores, label, code).items():
            total = total - beta * target * torch.log(s[c] / beside)
        for c in range(CLASSES):
            total = total - mu * (0.9 * (c == label) + 0.1 / CLASSES) * torch.log(w[c])
    return total / NUMBER


@pytest.mark.parametrize('weights', [(1, 0.1, 0.005), (0.3, 2, 0.7)])
@pytest.mark.parametrize('ranking', ['formula', 'code'])
def test_value_and_gradients_of_the_formula(weights, ranking):
    loss = USKDLoss(WIDTH, CLASSES, *weights, ranking=ranking).double()

    def ours(logits, maps, weight, bias):
        return torch.func.functional_call(
            loss, {'weak_head.weight': weight, 'weak_head.bias': bias},
            (Step(logits, LABELS, maps=(maps, None)), ))

    check_loss(ours, lambda *leaves: reference(*leaves, *weights, ranking == 'code'),
               LOGITS, MAPS, WEIGHT, BIAS)


def test_the_rankings_differ_here():
    values = [USKDLoss(WIDTH, CLASSES, 0, 1, 0, ranking) for ranking in ('formula', 'code')]
    for loss in values:
        loss.double().weak_head.weight.data.copy_(WEIGHT)
        loss.weak_head.bias.data.copy_(BIAS)
    first, second = (loss(Step(LOGITS, LABELS, maps=(MAPS, None))) for loss in values)
    assert abs(first - second) > 1e-3


def test_a_label_that_is_all_but_sure_makes_no_nan():
    logits = torch.zeros(2, 4, requires_grad=True)
    sure = logits + torch.tensor([200., 0, 0, 0])
    loss = USKDLoss(3, 4)(Step(sure, torch.tensor([0, 1]), maps=(torch.ones(2, 3, 1, 1), None)))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize('maps, told', [
    ((torch.zeros(2, 3, 1, 1), ), r'gives 1 map\(s\): write backbone=dict\(out_indices=\(2, 3\)\)'),
    ((torch.zeros(2, 7, 1, 1), None), r'in_channels=3\) does not fit .* write in_channels=7')])
def test_a_backbone_that_does_not_fit(maps, told):
    with pytest.raises(UserError, match=told):
        USKDLoss(3, 4)(Step(torch.zeros(2, 4), torch.tensor([0, 1]), maps=maps))


@pytest.mark.parametrize('options', [dict(alpha=-1), dict(mu=-1), dict(ranking='x')])
def test_values_that_cannot_be(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f'{name}={value!r}'):
        USKDLoss(3, 4, **options)
