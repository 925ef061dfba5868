"""Which images a group holds, on every rank, and how often each is drawn."""
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from helpers.labels import Labels

from mmips.datasets.samplers import GroupedClassSampler

LABELS = Labels([0] * 5 + [1] * 3 + [2] + [3] * 4)


def groups(sampler, epoch=0):
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert len(order) == len(sampler)
    return np.reshape(order, (-1, 1 + sampler.num_partners)).tolist()


@pytest.mark.parametrize('partners', [1, 2, 3])
@pytest.mark.parametrize('world', [1, 2, 3])
def test_every_image_once_with_others_of_its_class(partners, world, monkeypatch):
    found = []
    for rank in range(world):
        monkeypatch.setattr('mmips.datasets.samplers.paired_class_sampler.get_dist_info',
                            lambda rank=rank: (rank, world))
        sampler = GroupedClassSampler(LABELS, partners, seed=4)
        found.append([groups(sampler, epoch) for epoch in range(3)])
    assert len({len(epoch) for rank in found for epoch in rank}) == 1
    for epoch in zip(*found):
        both = sum(epoch, [])
        assert set(Counter(anchor for anchor, *_ in both)) == set(range(len(LABELS)))
        for anchor, *others in both:
            size = LABELS.count(LABELS[anchor])
            assert {LABELS[other] for other in others} == {LABELS[anchor]}
            assert (anchor in others) == (size == 1)
            if size > partners:
                assert len(set(others)) == partners
    assert found[0][0] != found[0][1]
    assert groups(GroupedClassSampler(LABELS, partners, seed=4), 2) == found[-1][2]


def test_all_sets_of_partners_are_equally_likely():
    sampler = GroupedClassSampler(Labels([0] * 5), 3, seed=0)
    drawn = Counter(frozenset(others) for epoch in range(3000)
                    for anchor, *others in groups(sampler, epoch) if anchor == 0)
    assert set(drawn) == set(map(frozenset, combinations([1, 2, 3, 4], 3)))
    assert max(abs(count - 750) for count in drawn.values()) < 5 * 750 ** .5


@pytest.mark.parametrize('partners', [0, -1, 1.5])
def test_refuses_no_partners(partners):
    with pytest.raises(ValueError, match=f'must be a positive integer, but got {partners}'):
        GroupedClassSampler(LABELS, partners)
