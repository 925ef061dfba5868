"""Zipf's label smoothing against votes counted in loops."""
import pytest
import torch
from helpers.alike import check_loss
from torch import nn

from mmips.errors import UserError
from mmips.models.losses import ZipfLoss
from mmips.structures import Step

NUMBER, CLASSES, WIDTH, SIDE = 4, 6, 3, 3
GENERATOR = torch.Generator().manual_seed(2)
MAPS = torch.randn(NUMBER, WIDTH, SIDE, SIDE, generator=GENERATOR, dtype=torch.float64)
LOGITS = torch.randn(NUMBER, CLASSES, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.tensor([0, 5, 2, 2])
torch.manual_seed(2)
HEAD = nn.Linear(WIDTH, CLASSES).double()


def step_of(logits, maps, labels=LABELS):
    return Step(logits, labels, maps=(None, maps), classify=HEAD)


def enlarged(image, times):
    """Bilinear: a new pixel's centre lies between the centres of the old, cut at the border."""
    side = image.shape[1]

    def places(number):
        at = min(max((number + 0.5) / times - 0.5, 0), side - 1)
        low = min(int(at), side - 1)
        return low, min(low + 1, side - 1), at - low

    rows = []
    for top, bottom, down in map(places, range(side * times)):
        for left, right, over in map(places, range(side * times)):
            rows.append((1 - down) * (1 - over) * image[:, top, left]
                        + (1 - down) * over * image[:, top, right]
                        + down * (1 - over) * image[:, bottom, left]
                        + down * over * image[:, bottom, right])
    return rows


def reference(logits, maps, times):
    total = 0
    for row, image, label in zip(logits, maps, LABELS.tolist()):
        votes = [0] * CLASSES
        for place in enlarged(image.detach(), times):
            votes[int((HEAD.weight @ place + HEAD.bias).argmax())] += 1
        others = [c for c in range(CLASSES) if c != label]
        # Sorted by votes; a class shares the place of the first with as many.
        falling = sorted((votes[c] for c in others), reverse=True)
        weights = {c: 1 / (1 + falling.index(votes[c])) for c in others}
        exponentials = {c: torch.exp(row[c]) for c in others}
        for c in others:
            target = weights[c] / sum(weights.values())
            total = total + target * torch.log(
                target / (exponentials[c] / sum(exponentials.values())))
    return total / NUMBER


@pytest.mark.parametrize('times', [1, 2])
def test_value_and_gradient_of_the_formula(times):
    check_loss(lambda z, m: ZipfLoss(times)(step_of(z, m)), lambda z, m: reference(z, m, times)
               + 0 * m.sum(), LOGITS, MAPS)
    assert HEAD.weight.grad is None
    assert ZipfLoss(times).votes(step_of(LOGITS, MAPS)).sum(1).tolist() == [
        (SIDE * times)**2] * NUMBER


def test_the_label_learns_nothing_here():
    logits = LOGITS.clone().requires_grad_()
    ZipfLoss()(step_of(logits, MAPS)).backward()
    assert not logits.grad[torch.arange(NUMBER), LABELS].any()


@pytest.mark.parametrize('maps', [(), (torch.zeros(4, 3), ), ((torch.zeros(4, 3), ), )])
def test_a_network_without_locations(maps):
    with pytest.raises(UserError, match='classify every location of the last map'):
        ZipfLoss()(Step(LOGITS, LABELS, maps=maps, classify=HEAD))


@pytest.mark.parametrize('upsample', [0, 1.5, True])
def test_a_size_that_cannot_be(upsample):
    with pytest.raises(ValueError, match='upsample must be a positive integer'):
        ZipfLoss(upsample)
