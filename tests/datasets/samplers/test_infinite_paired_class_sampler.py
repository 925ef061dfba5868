from itertools import islice

import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmips.datasets.samplers import InfinitePairedClassSampler, PairedClassSampler


class Counting:
    """A dataset of labels that counts how often an item is loaded."""

    loaded = 0

    def __init__(self, labels=(0, 0, 1, 1, 1, 2, 2)):
        self.labels = np.asarray(labels)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.loaded += 1
        return index

    def get_gt_labels(self):
        return self.labels


@pytest.mark.parametrize('epoch', ['queries', 'images'])
def test_chains_the_epochs_of_the_finite_sampler(epoch):
    finite = PairedClassSampler(Counting(), epoch=epoch, seed=4)
    expected = []
    for number in range(3):
        finite.set_epoch(number)
        expected += list(finite)
    infinite = InfinitePairedClassSampler(Counting(), epoch=epoch, seed=4)
    infinite.set_epoch(7)  # without effect
    assert list(islice(infinite, len(expected))) == expected


@pytest.mark.parametrize('skipped', [0, 2, 14, 20, 1000])
def test_skip_continues_the_sequence(skipped):
    whole = list(islice(InfinitePairedClassSampler(Counting(), seed=4), skipped + 30))
    resumed = InfinitePairedClassSampler(Counting(), seed=4)
    resumed.skip(skipped)
    assert list(islice(resumed, 30)) == whole[skipped:]


@pytest.mark.parametrize('number', [-2, 3])
def test_skip_refuses_what_would_split_a_pair(number):
    with pytest.raises(ValueError, match=f'even and not negative, but got {number}'):
        InfinitePairedClassSampler(Counting(), seed=4).skip(number)


def test_resuming_loop_loads_nothing_it_skips():
    loops = pytest.importorskip('mmengine.runner.loops')
    if not hasattr(loops._InfiniteDataloaderIterator, 'skip_iter'):
        pytest.skip('this mmengine resumes by loading what it skips')
    dataset = Counting()
    sampler = InfinitePairedClassSampler(dataset, seed=4)
    iterator = loops._InfiniteDataloaderIterator(DataLoader(dataset, 4, sampler=sampler))
    iterator.skip_iter(5)
    assert dataset.loaded == 0
    batch = next(iterator).tolist()
    assert batch == list(islice(InfinitePairedClassSampler(dataset, seed=4), 20, 24))
