"""Similarity preserving: the formula, slowly."""
import torch
from helpers.taught import check, random, taught

from mmips.models.losses import SimilarityPreservingLoss

LOSS = SimilarityPreservingLoss()


def of_maps(ours, theirs):
    # The first maps are another stage's, which counts for nothing.
    return LOSS(taught(dict(maps=(random(4, 1, 2, 2), ours)), dict(maps=(theirs, ))))


def slow(ours, theirs):
    rows = []
    for maps in (ours, theirs):
        flat = maps.reshape(len(maps), -1)
        products = [[sum(a * b) for b in flat] for a in flat]
        rows.append([[value / sum(each ** 2 for each in row) ** 0.5 for value in row]
                     for row in products])
    return sum((a - b) ** 2 for one, other in zip(*rows) for a, b in zip(one, other)) / 4 ** 2


def test_is_the_formula():
    check(lambda f, t: of_maps(f, t.detach()), lambda f, t: slow(f, t.detach()),
          random(4, 3, 2, 2), random(4, 5, 1, 2, seed=1))


def test_is_computed_in_float32_under_autocast():
    ours, theirs = (300 * random(4, 64, 4, 4, seed=seed).half() for seed in (0, 1))
    with torch.autocast('cpu', torch.bfloat16):
        value = of_maps(ours, theirs)
    assert value.dtype == torch.float32
    assert torch.allclose(value.double(), slow(ours.double(), theirs.double()), rtol=1e-5)
