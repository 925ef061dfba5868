from collections import Counter

import numpy as np
import pytest
from helpers.labels import Labels
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import sampler as mmengine_sampler
from torch.utils.data import Subset

from mmips.datasets.samplers import PairedClassSampler
from mmips.datasets.samplers import paired_class_sampler as module


def pairs(sampler, epoch=0):
    sampler.set_epoch(epoch)
    indices = np.array(list(sampler))
    assert len(indices) == len(sampler)
    return indices[0::2], indices[1::2]


def on_rank(monkeypatch, rank, world, *args, **kwargs):
    monkeypatch.setattr(module, 'get_dist_info', lambda: (rank, world))
    return PairedClassSampler(*args, **kwargs)


class_sizes = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(lambda s: max(s) > 1)


def shuffled_labels(sizes, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


@given(class_sizes, st.integers(0, 50), st.booleans())
def test_queries_epoch_holds_every_image_once_as_query(sizes, epoch, shuffle):
    labels = shuffled_labels(sizes)
    query, partner = pairs(PairedClassSampler(Labels(labels), shuffle=shuffle, seed=3), epoch)
    assert sorted(query) == list(range(len(labels)))
    assert (labels[query] == labels[partner]).all()
    alone = np.bincount(labels)[labels[query]] == 1
    assert ((query == partner) == alone).all()


@given(class_sizes, st.integers(0, 50), st.booleans())
def test_images_epoch_matches_every_image_once(sizes, epoch, shuffle):
    labels = shuffled_labels(sizes)
    sampler = PairedClassSampler(Labels(labels), epoch='images', shuffle=shuffle, seed=3,
                                 round_up=False)
    query, partner = pairs(sampler, epoch)
    assert (labels[query] == labels[partner]).all()
    sizes = np.bincount(labels)
    seen = Counter([*query, *partner])
    for label, size in enumerate(sizes):
        members = np.flatnonzero(labels == label)
        counts = sorted(seen[m] for m in members)
        if size == 1:
            assert counts == [2]
        else:  # one sits out of an odd class, nobody is seen twice
            assert counts == [0] * (size % 2) + [1] * (size - size % 2)


@given(class_sizes, st.integers(1, 9), st.integers(1, 4))
def test_images_epoch_has_as_many_steps_as_mmengines(sizes, world, pairs_a_step):
    labels, batch = Labels(shuffled_labels(sizes)), 2 * pairs_a_step
    for rank in range(world):
        with pytest.MonkeyPatch.context() as patch:
            for where in (module, mmengine_sampler):
                patch.setattr(where, 'get_dist_info', lambda rank=rank: (rank, world))
            ours = PairedClassSampler(labels, epoch='images', seed=0)
            theirs = mmengine_sampler.DefaultSampler(labels, seed=0)
        assert len(ours) - len(theirs) == len(theirs) % 2
        assert -(-len(ours) // batch) == -(-len(theirs) // batch)
        query, partner = pairs(ours)
        assert labels.get_gt_labels()[query].tolist() == labels.get_gt_labels()[partner].tolist()


def test_nobody_sits_out_twice_running_and_everybody_does_in_turn():
    labels = shuffled_labels([3, 5, 4, 7])
    sampler = PairedClassSampler(Labels(labels), epoch='images', seed=1)
    out = [set(range(len(labels))) - {*np.concatenate(pairs(sampler, e))} for e in range(14)]
    assert all(len(o) == 3 for o in out)
    assert all(not a & b for a, b in zip(out, out[1:]))
    assert {labels[i] for i in set.union(*out)} == {0, 1, 3}
    assert set.union(*out) == set(np.flatnonzero(labels != 2))


@pytest.mark.parametrize('size, mode, kinds', [(5, 'queries', 20), (4, 'images', 3)])
def test_pairs_are_uniform(size, mode, kinds):
    """All ordered pairs of two different images, or all matchings."""
    sampler, counts = PairedClassSampler(Labels([0] * size), epoch=mode, seed=0), Counter()
    for epoch in range(3000):
        found = [*zip(*(half.tolist() for half in pairs(sampler, epoch)))]
        counts.update(found if mode == 'queries' else [frozenset(map(frozenset, found))])
    assert len(counts) == kinds
    mean = counts.total() / kinds
    assert all(abs(count - mean) < 5 * mean ** .5 for count in counts.values())


def test_deterministic_in_seed_and_epoch():
    labels = shuffled_labels([6, 7, 8])

    def epochs(seed):
        sampler = PairedClassSampler(Labels(labels), seed=seed)
        return [np.stack(pairs(sampler, e)).tolist() for e in (0, 1, 0)]

    first, second, again = epochs(5)
    assert first == again != second
    assert epochs(5)[1] == second
    assert epochs(6)[0] != first
    assert epochs(6)[0] != second  # a sum of seed and epoch would make these two equal


def test_exact_order_without_shuffle():
    sampler = PairedClassSampler(Labels([1, 0, 1, 0, 1, 2]), shuffle=False, seed=0)
    assert list(sampler) == [0, 2, 1, 3, 2, 4, 3, 1, 4, 0, 5, 5]
    matching = PairedClassSampler(Labels([1, 0, 1, 0, 1, 2]), shuffle=False, epoch='images', seed=0)
    assert [np.stack(pairs(matching, e), 1).tolist() for e in range(2)] == [
        [[1, 3], [2, 4], [5, 5]], [[0, 4], [1, 3], [5, 5]]]


@pytest.mark.parametrize('epoch', ['queries', 'images'])
@pytest.mark.parametrize('world', [1, 2, 3, 4, 7])
def test_ranks_share_out_whole_pairs(monkeypatch, world, epoch):
    labels = Labels(shuffled_labels([5, 6, 8, 3]))
    whole = Counter(zip(*map(tuple, pairs(
        PairedClassSampler(labels, epoch=epoch, seed=2, round_up=False), 4))))
    wanted = -(-len(labels) // 2) if epoch == 'images' else len(labels)
    shares, exact = Counter(), Counter()
    for rank in range(world):
        padded = on_rank(monkeypatch, rank, world, labels, epoch=epoch, seed=2)
        shares.update(zip(*map(tuple, pairs(padded, 4))))
        part = on_rank(monkeypatch, rank, world, labels, epoch=epoch, seed=2, round_up=False)
        exact.update(zip(*map(tuple, pairs(part, 4))))
        assert len(padded) == 2 * -(-wanted // world)
    assert exact == whole
    assert set(shares) == set(whole)
    assert shares.total() - wanted == -wanted % world


def test_self_pairs_need_no_labels():
    query, partner = pairs(PairedClassSampler(range(9), partner='self', seed=0))
    assert (query == partner).all() and sorted(query) == list(range(9))


@pytest.mark.parametrize('epoch, sizes, times', [
    ('queries', [2, 3], 2), ('queries', [4, 2, 5], 3), ('queries', [3], 4),
    ('queries', [5, 1, 6], 1), ('images', [5, 1, 6], 1)])
def test_subsets_and_copies(sizes, times, epoch):
    """Indices are those of the subset, images those behind it; none is paired with its copy."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    images = np.random.default_rng(1).permutation(np.tile(np.arange(len(labels)), times))
    sampler = PairedClassSampler(Subset(Labels(labels), images), epoch=epoch, seed=0)
    for e in range(20):
        query, partner = (images[half] for half in pairs(sampler, e))
        assert (labels[query] == labels[partner]).all()
        assert ((query == partner) == (np.array(sizes)[labels[query]] == 1)).all()


def test_imagenet_scale_is_ordinary():
    labels = np.random.default_rng(0).integers(0, 1000, 1_281_167)
    sampler = PairedClassSampler(Labels(labels), seed=0)
    query, partner = pairs(sampler)
    assert len(sampler) == 2 * 1_281_167
    assert (labels[query] == labels[partner]).all() and (query != partner).all()


@pytest.mark.parametrize('labels, kwargs, message', [
    ([0, 0], dict(partner='twin'), "partner must be 'class' or 'self', got 'twin'"),
    ([0, 0], dict(epoch='all'), "epoch must be 'queries' or 'images', got 'all'"),
    ([0, 0], dict(partner='self', epoch='images'), 'Use epoch=.queries.'),
    ([], {}, 'empty: check data_root'),
    ([0, 1, 2], {}, r'No class .* has two images \(3 images in 3 classes\).*self'),
    ([[0, 1], [1, 2]], {}, r'one integer label from 0 per image.*array\(\[0, 1\]\)')])
def test_refuses(labels, kwargs, message):
    with pytest.raises(ValueError, match=message):
        PairedClassSampler(Labels(labels), seed=0, **kwargs)
