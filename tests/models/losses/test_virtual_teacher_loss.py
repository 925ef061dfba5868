"""TF-KD's term against one in loops, and the authors' teacher."""
import math

import pytest
import torch
from helpers.alike import check_loss

from mmips.models.losses import VirtualTeacherLoss
from mmips.structures import Step

LABELS = torch.tensor([0, 2, 6, 2])
LOGITS = 3 * torch.randn(4, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def reference(logits, temperature=20., correct=0.99, soften='logits', student=1., average=False):
    number, classes = logits.shape
    total = 0
    for row, label in zip(logits, LABELS.tolist()):
        u = [correct if c == label else (1 - correct) / (classes - 1) for c in range(classes)]
        # A temperature on logits is a power of the probabilities.
        weights = [v**(1 / temperature) if soften == 'logits' else math.exp(v / temperature)
                   for v in u]
        u = [weight / sum(weights) for weight in weights]
        normaliser = torch.log(sum(torch.exp(value / student) for value in row))
        for c in range(classes):
            total = total + u[c] * (math.log(u[c]) - (row[c] / student - normaliser))
    return total / number / (classes if average else 1)


@pytest.mark.parametrize('options, same', [
    ({}, {}),
    (dict(temperature=3., correct_prob=.8), dict(temperature=3., correct=.8)),
    (dict(soften='probabilities'), dict(soften='probabilities')),
    (dict(soften_student=True), dict(student=20.)),
    (dict(reduction='mean', soften='probabilities'), dict(average=True, soften='probabilities'))])
def test_value_and_gradient_of_the_formula(options, same):
    loss = VirtualTeacherLoss(**options)
    check_loss(lambda z: loss(Step(z, LABELS)), lambda z: reference(z, **same), LOGITS)
    assert not list(loss.parameters()) and not loss.state_dict()


def test_the_authors_teacher_is_almost_uniform():
    loss = VirtualTeacherLoss(20., soften='probabilities')
    images, labels = torch.zeros(6, 100), torch.arange(6)
    u = loss.teacher(images, labels).softmax(1)
    assert (round(u[5, 5].item(), 4), round(u[5, 6].item(), 4)) == (0.0105, 0.0100)
    # A temperature on logits leaves more: 0.99^(1/20) over 99 times (0.01/99)^(1/20) and itself.
    u = VirtualTeacherLoss(20.).teacher(images, labels).softmax(1)
    assert u[5, 5].item() == pytest.approx(0.0157, abs=1e-4)


def test_the_authors_weight_for_as_many_classes_is_the_formulas():
    step = Step(LOGITS, LABELS)
    ours = VirtualTeacherLoss()(step)
    theirs = VirtualTeacherLoss(multiplier=LOGITS.shape[1], reduction='mean')(step)
    torch.testing.assert_close(ours, theirs)


def test_scores_count_by_their_highest_class_and_bfloat16_is_summed_in_float32():
    scores = torch.nn.functional.one_hot(LABELS, 7) * 0.9 + 0.1 / 7
    loss = VirtualTeacherLoss()
    assert torch.equal(loss(Step(LOGITS, scores)), loss(Step(LOGITS, LABELS)))
    assert loss(Step(LOGITS.bfloat16(), LABELS)).dtype == torch.float32


@pytest.mark.parametrize('options', [
    dict(temperature=0.), dict(correct_prob=1.), dict(multiplier=-1.), dict(soften='teacher'),
    dict(reduction='sum')])
def test_values_that_cannot_be(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f'{name}={value!r}'):
        VirtualTeacherLoss(**options)
