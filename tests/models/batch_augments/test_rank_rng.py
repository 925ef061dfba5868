"""Streams of random numbers: one for each seed, rank and user."""
import copy
import pickle

import numpy as np
import pytest
import torch

from mmips.models.batch_augments import rank_rng
from mmips.models.batch_augments.rank_rng import RankRng


def draw(rng, number=4):
    return rng().random(number).tolist()


def test_follows_torch_s_seed_and_goes_on_within_it():
    torch.manual_seed(1)
    one, other = RankRng(), RankRng()
    first, second = draw(one), draw(one)
    assert first != second
    assert draw(other) == first and draw(other) == second


def test_starts_anew_when_torch_s_seed_changes_and_only_then():
    torch.manual_seed(1)
    expected = draw(RankRng(), 8)
    torch.manual_seed(0)
    rng = RankRng()
    draw(rng)
    torch.manual_seed(1)
    torch.rand(3)
    assert draw(rng) + draw(rng) == expected


@pytest.mark.parametrize('seed', [None, 0, 7])
def test_every_rank_has_its_own(monkeypatch, seed):
    drawn = []
    for rank in range(4):
        monkeypatch.setattr(rank_rng, 'get_rank', lambda rank=rank: rank)
        drawn.append(draw(RankRng(seed)))
    assert len(set(map(tuple, drawn))) == 4


def test_seed_and_rank_are_not_added(monkeypatch):
    """Rank 1 of seed 3 is not rank 0 of seed 4."""
    monkeypatch.setattr(rank_rng, 'get_rank', lambda: 1)
    there = draw(RankRng(3))
    monkeypatch.setattr(rank_rng, 'get_rank', lambda: 0)
    assert draw(RankRng(4)) != there


def test_users_of_one_seed_draw_apart():
    assert draw(RankRng(1, 'CutOut')) != draw(RankRng(1))
    assert draw(RankRng(1, 'CutOut')) == draw(RankRng(1, 'CutOut'))
    cells, squares = RankRng(1)().random(2000), RankRng(1, 'CutOut')().random(2000)
    assert abs(np.corrcoef(cells, squares)[0, 1]) < 5 / 2000**.5


@pytest.mark.parametrize('seed', [-1, 2**63, 2**64 - 1])
def test_any_seed_torch_takes(seed):
    assert draw(RankRng(seed)) == draw(RankRng(seed))
    if seed < 2**63:
        torch.manual_seed(seed)
        assert draw(RankRng()) == draw(RankRng(seed))


@pytest.mark.parametrize('clone', [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_copies_go_on_from_the_same_place(clone):
    rng = RankRng()
    draw(rng)
    other = clone(rng)
    assert draw(other) == draw(rng)
