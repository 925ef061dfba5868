import random

import numpy as np
import torch
from mmengine.registry import FUNCTIONS

from mmips.engine.seeding import seed_everything, seed_worker


def draws():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_seed_everything_repeats_all_three_generators():
    seed_everything(3, 1, 4)
    first = draws()
    seed_everything(3, 1, 4)
    assert draws() == first


def test_every_combination_is_another_state():
    combinations = [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 2), (1, 1, 0)]
    assert len({seed_everything(*c) for c in combinations}) == len(combinations)


def test_seed_worker_follows_torch_and_is_registered():
    function = FUNCTIONS.get('mmips.seed_worker')
    assert function is seed_worker
    torch.manual_seed(2**40 + 5)
    function(1, num_workers=2, rank=0)
    first = random.random(), np.random.rand()
    torch.manual_seed(2**40 + 6)
    function(1)
    assert (random.random(), np.random.rand()) != first
    torch.manual_seed(2**40 + 5)
    function(1)
    assert (random.random(), np.random.rand()) == first
