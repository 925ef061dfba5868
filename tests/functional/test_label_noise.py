"""Exact counts, the distribution, and what the draw depends on."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES, CIFAR100_CATEGORIES
from scipy.stats import chisquare

from mmips.functional.cifar100_superclasses import SUPERCLASSES, superclass_of
from mmips.functional.label_noise import (
    check_noise,
    count_flips,
    flip_labels,
    resolve_class_map,
)

#: What flip_labels makes of three classes of five images, at 40 % and with seed 0.
PUBLISHED = [0, 0, 1, 0, 1, 1, 0, 1, 1, 2, 2, 2, 1, 2, 0]
# As the superclasses are numbered in CIFAR-100's own coarse labels, by fine label.
COARSE = [4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7, 6, 13,
          15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4,
          17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9,
          13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13]

examples = settings(max_examples=30)
label_lists = st.lists(st.integers(0, 4), max_size=80).map(lambda x: np.array(x, dtype=np.int64))
percent = st.integers(0, 100)
seeds = st.integers(0, 2**70)


def half_up(hundredths, size):
    return (2 * hundredths * size + 100) // 200


@examples
@given(percent, st.integers(0, 10**6))
def test_rounds_half_up_on_the_decimal_number(hundredths, size):
    assert count_flips(hundredths / 100, size) == half_up(hundredths, size)
    assert count_flips(.145, 100) == 15 and count_flips(np.float64(.2), 500) == 100


@examples
@given(label_lists, percent, seeds)
def test_exactly_so_many_of_each_class_and_never_their_own(labels, hundredths, seed):
    before = labels.copy()
    noisy = flip_labels(labels, 5, hundredths / 100, seed)
    np.testing.assert_array_equal(labels, before)
    assert noisy.dtype == np.int64 and noisy.shape == labels.shape
    assert ((noisy >= 0) & (noisy < 5)).all()
    for label in range(5):
        members = labels == label
        assert (noisy[members] != label).sum() == half_up(hundredths, members.sum())


@examples
@given(label_lists, seeds)
def test_images_of_other_classes_change_nothing(labels, seed):
    mine = labels == 2
    np.testing.assert_array_equal(
        flip_labels(labels, 5, .5, seed)[mine], flip_labels(labels[mine], 5, .5, seed))


@examples
@given(label_lists, percent, percent, seeds)
def test_a_higher_rate_keeps_the_wrong_labels_of_a_lower_one(labels, a, b, seed):
    low, high = (flip_labels(labels, 5, x / 100, seed) for x in sorted((a, b)))
    wrong = low != labels
    np.testing.assert_array_equal(low[wrong], high[wrong])


def test_all_images_and_targets_are_equally_likely_over_seeds():
    labels = np.array([0] * 6 + [1] * 6)
    draws = np.stack([flip_labels(labels, 3, .5, seed) for seed in range(2000)])
    for label in (0, 1):
        mine = draws[:, labels == label]
        targets = [(mine == other).sum() for other in range(3) if other != label]
        for counts in ((mine != label).sum(0), targets):
            assert sum(counts) == 2000 * 3 and chisquare(counts).pvalue > 1e-3


def test_stays_as_it_is_published():
    """Results of other releases must remain comparable."""
    noisy = flip_labels(np.repeat(np.arange(3), 5), 3, .4, seed=0)
    assert noisy.tolist() == PUBLISHED


@pytest.mark.parametrize('function, args, message', [
    *((check_noise, (rate, 0), f'number from 0 to 1, but got {rate!r}')
      for rate in (-.1, 1.01, float('nan'), '0.2')),
    *((check_noise, (.2, seed), f'seed must be a whole number.*got {seed!r}')
      for seed in (-1, .5)),
    (flip_labels, (np.array([0]), 1, .2), 'at least two classes, but there is 1'),
    *((flip_labels, (np.array([0, label]), 3, .2),
       f'Label {label} is not one of the 3 classes, 0 to 2') for label in (-1, 3))])
def test_refuses(function, args, message):
    with pytest.raises(ValueError, match=message):
        function(*args)


@examples
@given(label_lists, percent, seeds,
       st.dictionaries(st.integers(0, 4), st.integers(1, 4), min_size=1))
def test_exactly_so_many_of_each_mapped_class_whatever_the_others(labels, hundredths, seed, steps):
    class_map = {source: (source + step) % 5 for source, step in steps.items()}
    noisy = flip_labels(labels, 5, hundredths / 100, seed, class_map)
    for label in range(5):
        mine = noisy[labels == label]
        wrong = mine[mine != label]
        assert len(wrong) == (half_up(hundredths, len(mine)) if label in class_map else 0)
        assert (wrong == class_map.get(label)).all()
        if label in class_map:
            alone = flip_labels(labels, 5, hundredths / 100, seed, {label: class_map[label]})
            np.testing.assert_array_equal(mine, alone[labels == label])


def test_class_map_of_numbers_names_and_next():
    found = resolve_class_map({'cat': 'dog', 2: 'cat', 'dog': np.int64(2)}, 3,
                              ['cat', 'dog', 'cow'])
    assert found == {0: 1, 2: 0, 1: 2} and {type(x) for x in found.values()} == {int}
    assert resolve_class_map({'1': '0'}, 2, ['1', '0']) == {0: 1}
    assert resolve_class_map({'a': 'b'}, 3, ['a', 'b', 'b']) == {0: 1}
    assert resolve_class_map('next', 3) == {0: 1, 1: 2, 2: 0}


@pytest.mark.parametrize('class_map, classes, message', [
    ('previous', 'abc', "must be 'next', 'cifar100' or a dict .* but got 'previous'"),
    ({}, 'abc', 'at least one class to another, but got {}'), ([0, 1], 'abc', r'but got \[0, 1\]'),
    ({'a': 0}, 'abc', "the class 'a' once and to another"), ({'a': 1, 0: 2}, 'abc', 'class 0 once'),
    ({0: 3}, 'abc', 'the class 3 does not exist. Give a number from 0 to 2.*a, b, c'),
    *(({name: 0}, 'abc', f'the class {name!r} does not exist') for name in (-1, 'd', .5)),
    ({'a': 1}, None, "class 'a' does not exist.*they have none"),
    ('cifar100', CIFAR10_CATEGORIES, "class 'beaver' does not exist.* airplane"),
    ('cifar100', None, "class 'beaver' does not exist")])
def test_refuses_class_map(class_map, classes, message):
    with pytest.raises(ValueError, match=message):
        resolve_class_map(class_map, 3, classes)


def test_cifar100_is_circular_within_each_superclass_of_the_data_set():
    for number, group in enumerate(SUPERCLASSES.values()):
        assert group == tuple(name for name, coarse in zip(CIFAR100_CATEGORIES, COARSE)
                              if coarse == number)
    found = resolve_class_map('cifar100', 100, CIFAR100_CATEGORIES)
    assert sorted(found) == sorted(found.values()) == list(range(100))
    for source, target in found.items():
        mates = [k for k in range(100) if COARSE[k] == COARSE[source]]
        assert target == mates[(mates.index(source) + 1) % 5]
    assert superclass_of(['girl', 'ray', 'baby']) == {
        'girl': 'people', 'ray': 'fish', 'baby': 'people'}
    assert [superclass_of(names) for names in ([], ['girl', 'abbey'], ['0', '1'])] == [None] * 3
