"""Exact counts, the distribution, and what the draw depends on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES, CIFAR100_CATEGORIES
from scipy.stats import chisquare

from mmips.functional.cifar100_superclasses import SUPERCLASSES
from mmips.functional.label_noise import count_flips, flip_labels, resolve_class_map

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


class TestSymmetric:

    @examples
    @given(label_lists, percent, seeds)
    def test_exactly_so_many_of_each_class_and_never_their_own(self, labels, hundredths, seed):
        before = labels.copy()
        noisy = flip_labels(labels, 5, hundredths / 100, seed)
        np.testing.assert_array_equal(labels, before)
        assert noisy.dtype == np.int64 and noisy.shape == labels.shape
        assert ((noisy >= 0) & (noisy < 5)).all()
        for label in range(5):
            members = labels == label
            assert (noisy[members] != label).sum() == half_up(hundredths, members.sum())

    @examples
    @given(label_lists, label_lists, seeds)
    def test_images_of_other_classes_change_nothing(self, labels, others, seed):
        """Whether they stand before, between or behind."""
        mine, others = labels[labels == 2], others[others != 2]
        places = np.random.default_rng(seed).permutation(len(mine) + len(others))
        mixed = np.empty(len(places), dtype=np.int64)
        spots = np.sort(places[:len(mine)])
        mixed[spots], mixed[np.sort(places[len(mine):])] = mine, others
        np.testing.assert_array_equal(
            flip_labels(mixed, 5, .5, seed)[spots], flip_labels(mine, 5, .5, seed))

    @examples
    @given(label_lists, percent, percent, seeds)
    def test_a_higher_rate_keeps_the_wrong_labels_of_a_lower_one(self, labels, a, b, seed):
        low, high = (flip_labels(labels, 5, x / 100, seed) for x in sorted((a, b)))
        wrong = low != labels
        np.testing.assert_array_equal(low[wrong], high[wrong])

    def test_all_images_and_targets_are_equally_likely_over_seeds(self):
        labels = np.array([0] * 6 + [1] * 6)
        draws = np.stack([flip_labels(labels, 3, .5, seed) for seed in range(2000)])
        for label in (0, 1):
            mine = draws[:, labels == label]
            assert chisquare((mine != label).sum(0)).pvalue > 1e-3
            targets = np.stack([(mine == other).sum(0) for other in range(3) if other != label])
            assert targets.sum() == 2000 * 3
            assert chisquare(targets.ravel()).pvalue > 1e-3

    def test_stays_as_it_is_published(self):
        """Results of other releases must remain comparable."""
        noisy = flip_labels(np.repeat(np.arange(3), 5), 3, .4, seed=0)
        assert noisy.tolist() == PUBLISHED

    @pytest.mark.parametrize('labels, number, options, message', [
        *(([0], 3, dict(rate=rate), f'number from 0 to 1, but got {rate!r}')
          for rate in (-.1, 1.01, float('nan'), '0.2')),
        *(([0], 3, dict(rate=.2, seed=seed), f'seed must be a whole number.*got {seed!r}')
          for seed in (-1, .5)),
        ([0], 1, dict(rate=.2), 'at least two classes, but there is 1'),
        *(([0, label], 3, dict(rate=.2), f'Label {label} is not one of the 3 classes, 0 to 2')
          for label in (-1, 3))])
    def test_refuses(self, labels, number, options, message):
        with pytest.raises(ValueError, match=message):
            flip_labels(np.array(labels), number, **options)


class TestAsymmetric:

    @examples
    @given(label_lists, percent, seeds,
           st.dictionaries(st.integers(0, 4), st.integers(1, 4), min_size=1))
    def test_exactly_so_many_of_each_mapped_class(self, labels, hundredths, seed, steps):
        class_map = {source: (source + step) % 5 for source, step in steps.items()}
        noisy = flip_labels(labels, 5, hundredths / 100, seed, class_map)
        for label in range(5):
            mine = noisy[labels == label]
            wrong = mine[mine != label]
            if label in class_map:
                assert len(wrong) == half_up(hundredths, len(mine))
                assert (wrong == class_map[label]).all()
            else:
                assert not len(wrong)

    def test_neither_order_nor_other_entries_of_the_map_matter(self):
        labels = np.arange(200) % 4
        first, turned, alone = (flip_labels(labels, 4, .3, 7, class_map) for class_map in (
            {0: 1, 1: 0, 2: 3}, {2: 3, 1: 0, 0: 1}, {1: 0}))
        np.testing.assert_array_equal(first, turned)
        np.testing.assert_array_equal(first[labels == 1], alone[labels == 1])
        assert (first != flip_labels(labels, 4, .3, 8, {0: 1, 1: 0, 2: 3})).any()


class TestClassMap:

    def test_numbers_names_and_next(self):
        found = resolve_class_map({'cat': 'dog', 2: 'cat', 'dog': np.int64(2)}, 3,
                                  ['cat', 'dog', 'cow'])
        assert found == {0: 1, 2: 0, 1: 2} and {type(x) for x in found.values()} == {int}
        assert resolve_class_map({'1': '0'}, 2, ['1', '0']) == {0: 1}
        assert resolve_class_map('next', 3) == {0: 1, 1: 2, 2: 0}

    @pytest.mark.parametrize('class_map, message', [
        ('previous', "must be 'next', 'cifar100' or a dict .* but got 'previous'"),
        ({}, 'at least one class to another, but got {}'), ([0, 1], r'but got \[0, 1\]'),
        ({'a': 0}, "the class 'a' to itself"), ({'a': 1, 0: 2}, 'the class 0 twice'),
        ({0: 3}, 'the class 3 does not exist. Give a number from 0 to 2.*a, b, c'),
        *(({name: 0}, f'the class {name!r} does not exist') for name in (-1, 'd', True, 1.))])
    def test_refuses(self, class_map, message):
        with pytest.raises(ValueError, match=message):
            resolve_class_map(class_map, 3, ['a', 'b', 'c'])

    def test_refuses_names_where_there_are_none(self):
        with pytest.raises(ValueError, match="class 'a' does not exist.*they have no names"):
            resolve_class_map({'a': 1}, 3)


class TestCifar100:

    def test_the_superclasses_are_those_of_the_data_set(self):
        for number, group in enumerate(SUPERCLASSES.values()):
            assert group == tuple(name for name, coarse in zip(CIFAR100_CATEGORIES, COARSE)
                                  if coarse == number)
        assert len(SUPERCLASSES) == 20

    def test_circular_within_each_superclass(self):
        found = resolve_class_map('cifar100', 100, CIFAR100_CATEGORIES)
        assert sorted(found) == sorted(found.values()) == list(range(100))
        for source, target in found.items():
            mates = [k for k in range(100) if COARSE[k] == COARSE[source]]
            assert target == mates[(mates.index(source) + 1) % 5]

    def test_refuses_other_classes(self):
        for names, message in ((CIFAR10_CATEGORIES, "got 10, and 'airplane' is unknown"),
                               (None, "got 0, and 'apple' is unknown or missing")):
            with pytest.raises(ValueError, match=message):
                resolve_class_map('cifar100', len(names or ()), names)
