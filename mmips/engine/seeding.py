# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Seeds that let a resumed run repeat what an uninterrupted one would have done."""
import random
from typing import Any

import numpy as np
import torch

from mmips.registry import FUNCTIONS


def seed_everything(*entropy: int) -> None:
    """Seed Python, NumPy and torch; every (seed, rank, epoch) gives an unrelated state."""
    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@FUNCTIONS.register_module()
def seed_worker(worker_id: int, **kwargs: Any) -> None:
    """Seed a data loader's worker from torch's state when the workers were started.

    mmengine's own function gives worker k the same seed at every start of the workers, so
    that each epoch, and each resumed run, repeats the random crops of the first one. Use as
    ``worker_init_fn=dict(type='mmips.seed_worker')`` with ``persistent_workers=False``.

    Args:
        worker_id (int): Given by the data loader; torch has already added it to the seed.
        **kwargs: Ignored.
    """
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)
