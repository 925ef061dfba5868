"""Many ranks in one process: benchmarks/run.py scale has them up to 4,096."""
from unittest.mock import patch

import numpy as np
import pytest
from helpers.configs import ROOT
from helpers.labels import Labels

from mmips.datasets.samplers import PairedClassSampler
from mmips.models.batch_augments import rank_rng

LABELS = Labels(np.random.default_rng(0).integers(0, 40, 3001))


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import bench_scale
    return bench_scale


@pytest.mark.parametrize('mode', ['queries', 'images'])
@pytest.mark.parametrize('world', [1, 2, 48, 64])
def test_every_pair_is_on_one_rank_and_found_again(scale, world, mode):
    pairs = 3001 if mode == 'queries' else 1501
    assert scale.check_pairs(LABELS, world, mode) == -(-pairs // world)


def test_more_ranks_than_pairs(scale):
    assert scale.check_pairs(Labels([0, 0, 1, 1, 1]), 64, 'queries') == 1


@pytest.mark.parametrize('world', [1, 2, 64])
def test_seeds_and_masks_differ_between_ranks_and_repeat_themselves(scale, world):
    assert scale.check_draws(world, range(3)) == (3 * world, 3 * world)


def test_what_is_wrong_is_found(scale):
    with patch.object(PairedClassSampler, 'set_epoch', lambda self, epoch: setattr(
            self, 'epoch', epoch + self.rank)), pytest.raises(RuntimeError, match='share out'):
        scale.check_pairs(LABELS, 4, 'queries')
    with patch.object(scale, 'as_rank', lambda rank, world: patch.object(
            rank_rng, 'get_rank', lambda: 0)), pytest.raises(RuntimeError, match='12 seeds wanted'):
        scale.check_draws(4, range(3))
