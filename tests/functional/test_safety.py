"""The safety metrics against other packages and against their definitions, written out."""
import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from mmips.functional import safety
from mmips.functional.safety import SAFETY_METRICS, safety_scores


def predict(probs, labels):
    """Confidences and errors, sample by sample."""
    return probs.max(1).tolist(), (probs.argmax(1) != labels).astype(int).tolist()


def area(errors):
    return sum(sum(errors[:n]) / n for n in range(1, len(errors) + 1)) / len(errors)


def aurc_reference(probs, labels):
    """The mean over all orders that sort by falling confidence, each tried."""
    confidence, errors = predict(probs, labels)
    ties = [[e for c, e in zip(confidence, errors) if c == value]
            for value in sorted(set(confidence), reverse=True)]
    orders = itertools.product(*(list(itertools.permutations(tie)) for tie in ties))
    areas = [area([e for tie in order for e in tie]) for order in orders]
    return 1000 * sum(areas) / len(areas)


def e_aurc_reference(probs, labels):
    errors = predict(probs, labels)[1]
    best = min(area(order) for order in set(itertools.permutations(errors)))
    return aurc_reference(probs, labels) - 1000 * best


def fpr95_reference(probs, labels):
    confidence, errors = predict(probs, labels)
    if len(set(errors)) < 2:
        return math.nan
    wrong, right, _ = roc_curve([1 - e for e in errors], confidence, drop_intermediate=False)
    return 100 * wrong[right >= 0.95 - 1e-12][0]


def auroc_reference(probs, labels):
    confidence, errors = predict(probs, labels)
    return math.nan if len(set(errors)) < 2 else 100 - 100 * roc_auc_score(errors, confidence)


def binned_gap(values, hits, num_bins):
    total = 0.0
    for b in range(num_bins):
        low, high = b / num_bins, (b + 1) / num_bins
        total += abs(sum(v - h for v, h in zip(values, hits) if low < v <= high
                         or (b == 0 and v <= 0) or (b == num_bins - 1 and v > 1)))
    return 100 * total / len(values)


def ece_reference(probs, labels, num_bins=15):
    confidence, errors = predict(probs, labels)
    return binned_gap(confidence, [1 - e for e in errors], num_bins)


def classwise_ece_reference(probs, labels, num_bins=15):
    return np.mean([binned_gap(column, labels == k, num_bins)
                    for k, column in enumerate(probs.astype(float).T)])


def adaptive_ece_reference(probs, labels, num_bins=15):
    confidence, errors = predict(probs, labels)
    mean = {c: np.mean([1 - e for d, e in zip(confidence, errors) if d == c]) for c in confidence}
    kept = sorted(confidence, reverse=True)
    total, start = 0.0, 0
    for b in range(num_bins):
        run = kept[start:start + len(kept) // num_bins + (b < len(kept) % num_bins)]
        total += abs(sum(mean[c] - c for c in run))
        start += len(run)
    return 100 * total / len(kept)


def brier_reference(probs, labels):
    return 100 * ((probs - np.eye(probs.shape[1])[labels])**2).sum() / len(probs)


def nll_reference(probs, labels):
    return np.mean([-math.log(row[y]) if row[y] else math.inf for row, y in zip(probs, labels)])


REFERENCES = {name: globals()[f'{name}_reference'] for name in SAFETY_METRICS}
# These try all orders of the samples.
EXPONENTIAL = ('aurc', 'e_aurc')


@st.composite
def predictions(draw, max_samples):
    """Coarse probabilities, so that ties, edges of bins, 0 and 1 are all common."""
    classes = draw(st.integers(1, 5))
    parts = draw(st.lists(
        st.lists(st.integers(0, 5), min_size=classes, max_size=classes).filter(any),
        min_size=1, max_size=max_samples))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=len(parts), max_size=len(parts)))
    weights = np.array(parts, float)
    return weights / weights.sum(axis=1, keepdims=True), np.array(labels)


def random_predictions(samples, classes=7):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(classes, .3), samples)
    labels = np.where(rng.random(samples) < 0.4, probs.argmax(1),
                      rng.integers(0, classes, samples))
    return probs, labels


@pytest.mark.parametrize('name', SAFETY_METRICS)
def test_definition(name):
    @settings(max_examples=30)
    @given(predictions(6 if name in EXPONENTIAL else 40))
    def check(data):
        assert SAFETY_METRICS[name](*data) == pytest.approx(
            REFERENCES[name](*data), abs=1e-6, nan_ok=True)

    check()


def test_metrics_and_bins_are_chosen():
    data = random_predictions(200)
    found = safety_scores(*data, metrics=('brier', *safety.BINNED), num_bins=4)
    assert list(found) == ['brier', *safety.BINNED]
    for name in safety.BINNED:
        assert found[name] == pytest.approx(REFERENCES[name](*data, num_bins=4), abs=1e-9)
        assert found[name] != pytest.approx(SAFETY_METRICS[name](*data), abs=1e-6)
    for names in (('ece', 'fpr'), ()):
        with pytest.raises(ValueError, match=f'aurc, e_aurc, .* but got {re.escape(repr(names))}'):
            safety_scores(*data, metrics=names)


SHARP, THIRDS = np.eye(3), np.array([[0.6, 0.3, 0.1]] * 6)
#: Predictions that metrics are known to stumble over; few enough to try all orders.
CASES = {
    'two ties': (np.concatenate([THIRDS[:3], np.array([[0.9, 0.1, 0]] * 3)]), [0, 1, 2, 0, 1, 1]),
    'a tie of classes': (np.array([[0.5, 0.5], [0.5, 0.5], [0.4, 0.6]]), [0, 1, 1]),
    'perfect and sure': (SHARP[[0, 1, 2, 2]], [0, 1, 2, 2]),
    'all wrong and sure': (SHARP[[0, 0, 1]], [1, 2, 2]),
    'edges of bins': (np.array([[b / 15, 1 - b / 15] for b in (0, 1, 6, 9, 12, 15)]),
                      [0, 1, 0, 1, 0, 0]),
    'float32': (np.float32([[0.2, 0.8], [0.6, 0.4], [0.7, 0.3]]), [1, 1, 0]),
}


@pytest.mark.parametrize('case', CASES)
def test_adversarial_predictions(case):
    probs, labels = map(np.array, CASES[case])
    found = safety_scores(probs, labels)
    assert found == pytest.approx(
        {name: reference(probs, labels) for name, reference in REFERENCES.items()},
        abs=1e-6, nan_ok=True)
    assert math.copysign(1, found['nll']) == 1  # Never printed as -0.


def test_reliability_bins_by_hand():
    # Confidences 0.55 (wrong), 0.6 (right), 0.75 (right, the edge below) and 1.0 (right).
    top = np.array([0.55, 1.0, 0.75, 0.6])
    probs, labels = np.stack([top, 1 - top], axis=1), np.array([1, 0, 0, 0])
    bins = safety.reliability_bins(probs, labels, num_bins=4)
    assert bins['edges'].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert bins['counts'].tolist() == [0, 0, 3, 1]
    np.testing.assert_allclose(bins['accuracy'], [np.nan, np.nan, 2 / 3, 1])
    np.testing.assert_allclose(bins['confidence'], [np.nan, np.nan, 1.9 / 3, 1])


@pytest.mark.parametrize('right, kept', [(20, 18), (100, 94), (101, 95), (1, 0), (59, 56)])
def test_fpr_keeps_just_95_percent(right, kept):
    # As many wrong ones as right ones, one just below each: kept are those above the threshold.
    levels = 1 - np.arange(right) / 1000
    top = np.concatenate([levels, levels - 0.0005])
    probs = np.stack([top, 1 - top], axis=1)
    assert safety.fpr95(probs, np.repeat([0, 1], right)) == pytest.approx(100 * kept / right)


@pytest.mark.parametrize('confidence', [1.0, np.nextafter(np.float32(1), np.float32(2))])
def test_full_confidence_is_in_the_last_bin(confidence):
    # One bin, so its errors of both signs meet: torchmetrics keeps a bin of its own for 1.0.
    probs = np.array([[confidence, 0], [0.95, 0.05]])
    assert safety.ece(probs, np.array([1, 0])) == pytest.approx(100 * 0.95 / 2, abs=1e-4)


@pytest.mark.parametrize('num_bins', [12, 15])
def test_every_edge_belongs_to_the_bin_below(num_bins):
    for edge in range(2, num_bins):
        # Beside a sample inside that bin, whose gap has the other sign.
        top = np.array([edge / num_bins, edge / num_bins - 0.01])
        probs = np.stack([top, *[(1 - top) / 14] * 14], axis=1)
        assert safety.ece(probs, np.array([1, 0]), num_bins) == pytest.approx(
            100 * abs(1 - top.sum()) / 2, abs=1e-9)


@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_computed_in_float64(dtype):
    probs, labels = random_predictions(2000)
    low = probs.astype(dtype)
    before = low.copy()
    found = safety_scores(low, labels.astype(np.int32))
    assert found == pytest.approx(safety_scores(low.astype(float), labels), abs=1e-12)
    assert all(type(value) is float for value in found.values())
    assert np.array_equal(low, before)


GOOD = np.array([[0.7, 0.3], [0.4, 0.6]])


@pytest.mark.parametrize('probs, labels, message', [
    (np.array([[np.nan, 0.3], [0.4, 0.6]]), [0, 1], '1 of 2 samples .* NaN'),
    (np.array([[np.inf, 0.3], [0.4, 0.6]]), [0, 1], 'to inf with sum inf'),
    (np.array([[7.0, 3.0], [0.4, 0.6]]), [0, 1], r'from 3 to 7 with sum 10\. .*softmax'),
    (np.array([[0.7, 0.3], [-0.5, 1.5]]), [0, 1], 'from -0.5 to 1.5'),
    (np.array([[0.7, 0.3], [0.4, 0.602]]), [0, 1], 'sum 1.002'),
    (GOOD, [0, 2], 'Label 2 is not one of the 2 classes'),
    (GOOD, [-1, 0], 'Label -1 is not'),
    (GOOD, [0.0, 1.0], 'integer labels.* float64'),
    (GOOD, [0], r'\(2, 2\) and int64 \(1,\)'),
    (GOOD[0], [0, 1], r'\(2,\) and int64 \(2,\)'),
    (np.zeros((0, 2)), np.zeros(0, int), 'at least one sample'),
])
def test_refused(probs, labels, message):
    functions = *SAFETY_METRICS.values(), safety.reliability_bins, safety.risk_coverage_curve
    for function in functions:
        with pytest.raises(ValueError, match=message):
            function(probs, np.array(labels))


@pytest.mark.parametrize('num_bins', [0, 2.5, True])
def test_bad_number_of_bins_is_refused(num_bins):
    for function in (safety.reliability_bins, *(SAFETY_METRICS[name] for name in safety.BINNED)):
        with pytest.raises(ValueError, match=f'num_bins .* {num_bins}'):
            function(GOOD, np.array([0, 1]), num_bins=num_bins)
