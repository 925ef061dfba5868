"""DDGSD's loss against loops over images, classes and dimensions."""
import pytest
import torch

from mmips.models.losses import DDGSDLoss
from mmips.structures import Step

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


@pytest.fixture
def leaves():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(6, size, generator=generator, dtype=torch.float64, requires_grad=True)
            for size in (5, 7)]


def step_of(logits, features):
    return Step(2 * logits, LABELS, (features, ))


def reference(logits, features, kl, mmd, t, detach):
    """Image by image and class by class."""
    logits = 2 * logits
    total = 0
    for first in (0, 2, 4):
        for student, teacher in ((first, first + 1), (first + 1, first)):
            target = logits[teacher].detach() if detach else logits[teacher]
            down, up = (sum((z / t).exp()) for z in (logits[student], target))
            for z, goal in zip(logits[student], target):
                p = (goal / t).exp() / up
                total = total + kl * t * t / 3 * p * (p.log() - ((z / t).exp() / down).log())
    for dim in range(7):
        gap = sum(features[row, dim] * (-1) ** row for row in range(6)) / 3
        total = total + mmd * gap ** 2
    return total


@pytest.mark.parametrize('options', [
    {}, dict(kl_weight=.3, mmd_weight=2., temperature=1.5), dict(detach=True, mmd_weight=.5)])
def test_is_the_formula_in_value_and_gradient(leaves, options):
    settings = dict(dict(kl_weight=1., mmd_weight=5e-4, temperature=3., detach=False), **options)
    ours, expected = DDGSDLoss(**options)(step_of(*leaves)), reference(*leaves, *settings.values())
    assert ours.item() == pytest.approx(expected.item(), rel=1e-10)
    for first, second in zip(*(torch.autograd.grad(loss, leaves) for loss in (ours, expected))):
        assert torch.allclose(first, second, rtol=1e-9, atol=1e-12)


def test_equal_views_agree_and_half_precision_is_widened(leaves):
    logits, features = (leaf.detach()[::2].repeat_interleave(2, 0) for leaf in leaves)
    assert abs(DDGSDLoss()(step_of(logits, features)).item()) < 1e-15
    assert DDGSDLoss()(step_of(logits.bfloat16(), features.bfloat16())).dtype == torch.float32


@pytest.mark.parametrize('option', [dict(kl_weight=-1), dict(mmd_weight=-1), dict(temperature=0)])
def test_wrong_options_are_refused(option):
    with pytest.raises(ValueError, match=f'{next(iter(option))}.* but got'):
        DDGSDLoss(**option)
