import random

import numpy as np
import torch
from mmengine.registry import FUNCTIONS

from mmips.engine.seeding import seed_everything, seed_worker


def draws():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_seed_everything_repeats_all_three_generators_and_tells_all_combinations_apart():
    drawn = []
    for entropy in ((3, 1, 4), (3, 1, 4), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0, 2), (1, 1, 0)):
        seed_everything(*entropy)
        drawn.append(draws())
    assert drawn[0] == drawn[1] and len(set(drawn)) == 6


def test_seed_worker_follows_torch_and_is_registered():
    function = FUNCTIONS.get('mmips.seed_worker')
    assert function is seed_worker
    drawn = []
    for seed in (2**40 + 5, 2**40 + 5, 2**40 + 6):
        torch.manual_seed(seed)
        function(1, num_workers=2, rank=0)
        drawn.append(draws()[:2])
    assert drawn[0] == drawn[1] != drawn[2]
