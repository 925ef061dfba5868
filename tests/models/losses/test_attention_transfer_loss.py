"""Attention transfer: the formula, slowly, and maps of other sizes and numbers."""
import pytest
import torch
import torch.nn.functional as F
from helpers.taught import check, random, taught

from mmips.errors import UserError
from mmips.models.losses import AttentionTransferLoss


def attention(maps, power):
    """Of one image (C, H, W), location by location."""
    channels, height, width = maps.shape
    found = [sum(maps[c, y, x].abs() ** power for c in range(channels)) / channels
             for y in range(height) for x in range(width)]
    length = sum(value ** 2 for value in found) ** 0.5
    return [value / length for value in found]


def slow(ours, theirs, power=2):
    total = 0
    for stage_ours, stage_theirs in zip(ours, theirs):
        parts = [(a - b) ** 2 for one, other in zip(stage_ours, stage_theirs)
                 for a, b in zip(attention(one, power), attention(other, power))]
        total = total + sum(parts) / len(parts)
    return total


@pytest.mark.parametrize('power', [2, 1.5])
def test_is_the_formula(power):
    # Two stages, three images; the teacher has more channels.
    ours, theirs = random(2, 3, 2, 2, 3), random(2, 3, 5, 2, 3, seed=1)
    loss = AttentionTransferLoss(power=power, stages=2)
    check(lambda f, t: loss(taught(dict(maps=tuple(f)), dict(maps=tuple(t.detach())))),
          lambda f, t: slow(f, t.detach(), power), ours, theirs)


@pytest.mark.parametrize('first, second', [(4, 2), (2, 4)])
def test_the_larger_map_is_averaged_down(first, second):
    ours, theirs = random(3, 2, first, first), random(3, 2, second, second, seed=1)
    small = [F.avg_pool2d(maps, 2) if maps.shape[-1] == 4 else maps for maps in (ours, theirs)]
    loss = AttentionTransferLoss(stages=1)(taught(dict(maps=(ours, )), dict(maps=(theirs, ))))
    assert torch.allclose(loss, slow([small[0]], [small[1]]))


def test_scale_and_precision_do_not_matter():
    ours, theirs = (300 * random(3, 2, 4, 4, seed=seed).half() for seed in (0, 1))
    loss = AttentionTransferLoss(stages=1)
    value = loss(taught(dict(maps=(ours, )), dict(maps=(theirs, ))))
    assert value.dtype == torch.float32 and torch.isfinite(value)
    assert loss(taught(dict(maps=(ours, )), dict(maps=(2 * ours, )))) < 1e-12


@pytest.mark.parametrize('given, told', [
    ((1, 2), r'compares 2 maps, but model gives 1: set model.backbone.out_indices=\(0, 1\)'),
    ((2, 1), 'but model.teacher.model gives 1: set model.teacher.model.backbone.out_indices')])
def test_refuses_forgotten_stages(given, told):
    ours, theirs = ((random(3, 2, 2, 2), ) * number for number in given)
    with pytest.raises(UserError, match=told):
        AttentionTransferLoss(stages=2)(taught(dict(maps=ours), dict(maps=theirs)))


def test_refuses_other_arguments():
    for wrong in (dict(power=0), dict(stages=0)):
        with pytest.raises(ValueError, match='power must be positive and stages at least 1'):
            AttentionTransferLoss(**wrong)
