"""Streams of random numbers: one for each seed, rank and user."""
import numpy as np
import pytest
import torch

from mmips.models.batch_augments import rank_rng
from mmips.models.batch_augments.rank_rng import RankRng


def draw(rng, number=4):
    return rng().random(number).tolist()


def test_follows_torch_s_seed_and_starts_anew_only_when_it_changes():
    torch.manual_seed(1)
    expected = draw(RankRng(), 8)
    torch.manual_seed(0)
    rng = RankRng()
    draw(rng)
    torch.manual_seed(1)
    torch.rand(3)
    assert draw(rng) + draw(rng) == expected


@pytest.mark.parametrize('seed', [None, 0, 7])
def test_every_rank_has_its_own_and_is_not_added_to_the_seed(monkeypatch, seed):
    drawn = []
    for rank in range(4):
        monkeypatch.setattr(rank_rng, 'get_rank', lambda rank=rank: rank)
        drawn += [draw(RankRng(seed)), draw(RankRng(8 + rank))]
    assert len(set(map(tuple, drawn))) == 8


def test_users_of_one_seed_draw_apart():
    assert draw(RankRng(1, 'CutOut')) == draw(RankRng(1, 'CutOut'))
    cells, squares = RankRng(1)().random(2000), RankRng(1, 'CutOut')().random(2000)
    assert abs(np.corrcoef(cells, squares)[0, 1]) < 5 / 2000**.5


@pytest.mark.parametrize('seed', [-1, 2**63 - 1])
def test_any_seed_torch_takes(seed):
    torch.manual_seed(seed)
    assert draw(RankRng()) == draw(RankRng(seed))
