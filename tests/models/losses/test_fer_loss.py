"""FER against the formula in loops: state and loss of three epochs, and gradients."""
import math

import pytest
import torch
from helpers.alike import check_loss
from helpers.remembering import CLASSES, EPOCHS, IMAGES, LABELS, LOGITS, of_each_rank, step_of

from mmips.errors import UserError
from mmips.models.losses import FERLoss
from mmips.structures import Step

T, G, MU = 5, 0.1, 1.5


def softmax(row, temperature=1):
    total = sum(math.exp(value / temperature) for value in row)
    return [math.exp(value / temperature) / total for value in row]


def move(rows, known, epoch):
    """What is known after an epoch."""
    for i in range(IMAGES):
        z, label = LOGITS[epoch, i].tolist(), int(LABELS[i])
        if z[label] == max(z):
            weight = 1 - math.exp(-MU * softmax(z)[label])
            rows[i] = [(1 - weight) * old + weight * new
                       for old, new in zip(rows[i], softmax(z, T))]
            known.add(i)


def reference(logits, images, epoch, rows, known):
    total, r = 0, (epoch + 1) / EPOCHS
    for z, i in zip(logits, images):
        ce = torch.log(sum(torch.exp(value) for value in z)) - z[LABELS[i]]
        if epoch == 0 or i not in known:
            total = total + ce
            continue
        normaliser = torch.log(sum(torch.exp(value / T) for value in z))
        soft = -sum(p * (value / T - normaliser) for p, value in zip(rows[i], z))
        total = total + (G + (1 - r) * (1 - G)) * ce + r * (1 - G) * T**2 * soft
    return total / len(images)


@pytest.mark.parametrize('ranks', [1, 2])
def test_state_and_loss_of_three_epochs(tmp_path, ranks):
    for rank in of_each_rank(ranks, tmp_path, FERLoss(T, G, MU)):
        rows, known = [[0] * CLASSES for _ in range(IMAGES)], set()
        for epoch in range(EPOCHS):
            buffers, outputs = rank[epoch]
            for images, loss in outputs.items():
                expected = reference(LOGITS[epoch, list(images)], images, epoch, rows, known)
                torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
            move(rows, known, epoch)
            torch.testing.assert_close(buffers['soft'], torch.tensor(rows), rtol=0, atol=1e-6)
        assert 0 < len(known) < IMAGES * 3 / 4  # the last class never


@pytest.mark.parametrize('epoch', range(EPOCHS))
def test_value_and_gradient_of_the_formula(epoch):
    images, rows, known = [0, 1, 5, 10], [[0] * CLASSES for _ in range(IMAGES)], {0, 5}
    memory = FERLoss(T, G, MU)
    memory.allocate(memory.plan(IMAGES, CLASSES, 4), torch.device('cpu'))
    memory.double()
    for image in known:
        rows[image] = [0.1, 0.3, 0.2, 0.1]
        memory.soft[image] = torch.tensor(rows[image])

    def ours(logits):
        return memory(Step(logits, LABELS[images], sample_idx=torch.tensor(images), epoch=epoch,
                           max_epochs=EPOCHS))

    check_loss(ours, lambda z: reference(z, images, epoch, rows, known),
               LOGITS[epoch, images].double())


def test_rows_of_two_ranks_stay_above_zero():
    memory = FERLoss()
    memory.allocate(memory.plan(IMAGES, CLASSES, 4), torch.device('cpu'))
    memory.soft[0] = torch.tensor([.5, -.1, 0, 0])
    memory.end_epoch()
    assert memory.soft[0].tolist() == [.5, 0, 0, 0]


@pytest.mark.parametrize('options', [dict(temperature=0), dict(gamma=2), dict(mu=-1)])
def test_what_cannot_be(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f'{name}={value}'):
        FERLoss(**options)
    with pytest.raises(UserError, match='FERLoss remembers, but nothing keeps its memory'):
        FERLoss()(step_of(1, torch.tensor([0])))
