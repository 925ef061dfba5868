"""KD: the formula, slowly."""
import math

import pytest
import torch
from helpers.taught import check, random, taught

from mmips.errors import UserError
from mmips.models.losses import KDLoss
from mmips.structures import Step


@pytest.mark.parametrize('temperature, scale', [(4, True), (1, True), (3, False)])
def test_is_the_formula(temperature, scale):
    def slow(ours, theirs):
        total = 0
        for z, t in zip(ours, theirs.detach()):
            p, q = ((row / temperature).exp() for row in (z, t))
            for k in range(5):
                a, b = q[k] / sum(q), p[k] / sum(p)
                total = total + a * (a.log() - b.log())
        return total / len(ours) * (temperature ** 2 if scale else 1)

    loss = KDLoss(temperature, scale)
    check(lambda z, t: loss(taught(dict(logits=z), dict(logits=t))), slow,
          2 * random(4, 5), 3 * random(4, 5, seed=1))


def test_refuses_what_is_no_temperature_and_a_model_without_teacher():
    for wrong in (0, -1, math.nan):
        with pytest.raises(ValueError, match='temperature must be positive'):
            KDLoss(wrong)
    with pytest.raises(UserError, match='learns from a teacher.*TeacherDistillClassifier'):
        KDLoss()(Step(torch.zeros(2, 3), torch.zeros(2)))
