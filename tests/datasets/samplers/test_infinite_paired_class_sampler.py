from itertools import islice

import pytest
from helpers.labels import Labels
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch.utils.data import DataLoader

from mmips.datasets.samplers import InfinitePairedClassSampler, PairedClassSampler

LABELS = Labels([0, 0, 1, 1, 1, 2, 2])


@pytest.mark.parametrize('epoch', ['queries', 'images'])
def test_chains_the_epochs_of_the_finite_sampler(epoch):
    finite = PairedClassSampler(LABELS, epoch=epoch, seed=4)
    expected = []
    for number in range(3):
        finite.set_epoch(number)
        expected += list(finite)
    infinite = InfinitePairedClassSampler(LABELS, epoch=epoch, seed=4)
    infinite.set_epoch(7)  # without effect
    assert list(islice(infinite, len(expected))) == expected


@pytest.mark.parametrize('skipped', [0, 2, 14, 20, 1000])
def test_skip_continues_the_sequence(skipped):
    whole = list(islice(InfinitePairedClassSampler(LABELS, seed=4), skipped + 30))
    resumed = InfinitePairedClassSampler(LABELS, seed=4)
    resumed.skip(skipped)
    assert list(islice(resumed, 30)) == whole[skipped:]


@pytest.mark.parametrize('number', [-2, 3])
def test_skip_refuses_what_would_split_a_pair(number):
    with pytest.raises(ValueError, match=f'even and not negative, but got {number}'):
        InfinitePairedClassSampler(LABELS, seed=4).skip(number)


def test_resuming_loop_loads_nothing_it_skips():
    if not hasattr(_InfiniteDataloaderIterator, 'skip_iter'):
        pytest.skip('this mmengine resumes by loading what it skips')
    loaded = []
    sampler = InfinitePairedClassSampler(LABELS, seed=4)
    iterator = _InfiniteDataloaderIterator(
        DataLoader(LABELS, 4, sampler=sampler, collate_fn=loaded.append))
    iterator.skip_iter(5)
    assert not loaded
    next(iterator)
    expected = islice(InfinitePairedClassSampler(LABELS, seed=4), 20, 24)
    assert loaded == [[LABELS[index] for index in expected]]
