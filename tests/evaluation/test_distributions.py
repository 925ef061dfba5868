"""Class distributions and how they are split, against numbers worked out by hand."""
import numpy as np
import pytest

from mmips.evaluation.distributions import (
    Predictions,
    class_distribution,
    mass_table,
    split_mass,
)

# Two images of class 0 and three of class 2.
PROBS = np.array([[0.6, 0.3, 0.1, 0.0], [0.2, 0.5, 0.3, 0.0],
                  [0.1, 0.1, 0.7, 0.1], [0.4, 0.4, 0.1, 0.1], [0.0, 0.0, 0.2, 0.8]], np.float32)
LABELS = np.array([0, 0, 2, 2, 2])


def test_mean_distribution_of_a_class():
    assert class_distribution(PROBS, LABELS, 0) == pytest.approx(np.array([0.4, 0.4, 0.2, 0]))
    found = class_distribution(PROBS, LABELS, 2)
    assert found == pytest.approx(np.array([0.5, 0.5, 1.0, 1.0]) / 3) and found.dtype == float


def test_share_of_predictions_of_a_class():
    # Of equal probabilities the first one is the prediction.
    assert class_distribution(PROBS, LABELS, 0, 'top1').tolist() == [0.5, 0.5, 0, 0]
    assert class_distribution(PROBS, LABELS, 2, 'top1') == pytest.approx(
        np.array([1, 0, 1, 1]) / 3)


def test_parts_of_the_probability():
    probs = np.array([0.4, 0.3, 0.2, 0.1])
    assert split_mass(probs, 1, [0, 3]) == pytest.approx((0.3, 0.5, 0.2))
    assert split_mass(probs, 2, []) == pytest.approx((0.2, 0, 0.8))


def test_superclasses():
    found = Predictions({'a': PROBS}, LABELS, ['baby', 'ray', 'girl', 'trout'], range(5))
    assert found.near == [[2], [3], [0], [1]] and found.superclasses['ray'] == 'fish'
    other = Predictions({'a': PROBS}, LABELS, ['w', 'x', 'y', 'z'], range(5))
    assert other.near == [[]] * 4 and other.superclasses == {}


def test_table_with_superclasses():
    probs = {'a|b': PROBS, 'c': PROBS[:, [2, 1, 0, 3]]}
    found = Predictions(probs, LABELS, ['baby', 'ray', 'girl', 'trout'], range(5))
    lines = mass_table(found, [2]).splitlines()
    assert lines[0].startswith('Mean predicted distribution')
    assert 'rest of its superclass' in lines[2]
    # Girl: 1/3 girl, 1/6 baby. All: baby's 0.4, 0.2 count twice, girl's three times.
    assert lines[4:] == ['| girl | 3 | a\\|b | 33.33 | 16.67 | 50.00 |',
                         '| girl | 3 | c | 16.67 | 33.33 | 50.00 |',
                         '| all | 5 | a\\|b | 36.00 | 18.00 | 46.00 |',
                         '| all | 5 | c | 18.00 | 36.00 | 46.00 |']


def test_table_without_superclasses():
    found = Predictions({'a': PROBS}, LABELS, ['w', 'x', 'y', 'z'], range(5))
    lines = mass_table(found, [0], 'top1').splitlines()
    assert lines[0].startswith('Share of top-1 predictions') and 'superclass' not in lines[2]
    assert lines[4:] == ['| w | 2 | a | 50.00 | 50.00 |', '| all | 5 | a | 40.00 | 60.00 |']
