"""Relational distillation: distances and angles, slowly."""
import pytest
import torch
from helpers.taught import check, random, taught

from mmips.models.losses import RelationalKDLoss

N = 4


def of_features(loss, ours, theirs):
    # The pooled ones of another stage count for nothing.
    return loss(taught(dict(features=(random(N, 2), ours)), dict(features=(theirs, ))))


def huber(a, b):
    gap = abs(a - b)
    return gap ** 2 / 2 if gap < 1 else gap - 0.5


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def distances(rows):
    found = {(i, j): dot(rows[i] - rows[j], rows[i] - rows[j]) ** 0.5
             for i in range(N) for j in range(N) if i != j}
    mean = sum(found.values()) / len(found)
    return {pair: value / mean for pair, value in found.items()}


def angles(rows):
    """By the law of cosines."""
    d = distances(rows)
    return {(i, j, k): (d[i, j] ** 2 + d[i, k] ** 2 - (d[j, k] ** 2 if j != k else 0)) / (
        2 * d[i, j] * d[i, k])
        for i in range(N) for j in range(N) for k in range(N) if i not in (j, k)}


def slow(ours, theirs, distance, angle):
    total = 0
    for weight, relation, number in ((distance, distances, N ** 2), (angle, angles, N ** 3)):
        one, other = relation(ours), relation(theirs.detach())
        total = total + weight * sum(huber(one[key], other[key]) for key in one) / number
    return total


@pytest.mark.parametrize('weights', [(25, 50), (25, 0), (0, 50)])
def test_is_the_formula(weights):
    loss = RelationalKDLoss(*weights)
    # One far away: gaps on both sides of Huber's bend.
    ours, theirs = random(N, 3), random(N, 5, seed=1)
    theirs[0] += 8
    gaps = [abs(distances(ours)[key] - distances(theirs)[key]) for key in distances(ours)]
    assert min(gaps) < 1
    check(lambda f, t: of_features(loss, f, t), lambda f, t: slow(f, t, *weights), ours, theirs)


def test_hubers_bend_is_reached():
    ours, theirs = random(N, 3), random(N, 5, seed=1)
    ours[0] += 80
    theirs[1] += 80
    loss = RelationalKDLoss(1, 0)
    gaps = [abs(distances(ours)[key] - distances(theirs)[key]) for key in distances(ours)]
    assert max(gaps) > 1
    check(lambda f, t: of_features(loss, f, t), lambda f, t: slow(f, t, 1, 0), ours, theirs)


def test_equal_images_have_finite_gradients():
    ours = random(1, 3).repeat(N, 1).requires_grad_()
    loss = of_features(RelationalKDLoss(), ours, random(N, 3))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(ours.grad).all()


def test_refuses_negative_weights():
    with pytest.raises(ValueError, match='cannot be negative, but got distance=-1'):
        RelationalKDLoss(distance=-1)
