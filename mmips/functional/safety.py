# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
r"""How far a classifier's confidence can be trusted: the safety metrics of the IPS paper.

Table 10 of the paper prints AURC, FPR, ECE and the Brier score; the others are the usual
ones beside them. Every function takes

- ``probs``: class probabilities of shape (N, K), any float dtype, rows that sum to 1;
- ``labels``: true classes of shape (N,), integers from 0 to K - 1,

as NumPy arrays, computes in float64, and returns a float. Sample i is predicted to be the
class of the largest probability (the first of equal ones), its confidence :math:`c_i` is that
probability, and its error :math:`e_i` is 1 if the prediction is wrong, else 0. Calibration errors
take ``num_bins``, M, 15 by default. docs/safety.md has units, directions, ties and limits. Other
input raises a ``ValueError``.
"""
from collections.abc import Callable, Sequence

import numpy as np

#: How far a row may be from a sum of 1: float16 probabilities of 1000 classes are within it.
SUM_TOLERANCE = 1e-3


def check_predictions(probs: np.ndarray, labels: np.ndarray) -> None:
    """Raise ``ValueError`` for anything but N >= 1 rows of probabilities, each with a label."""
    if (probs.ndim != 2 or probs.size == 0 or labels.shape != probs.shape[:1]
            or labels.dtype.kind not in 'iu'):
        raise ValueError('Expected probabilities of shape (N, K) and integer labels of shape (N,), '
                         'of at least one sample and one class, but got '
                         f'{probs.shape} and {labels.dtype} {labels.shape}.')
    outside = labels[(labels < 0) | (labels >= probs.shape[1])]
    if outside.size:
        raise ValueError(f'Label {outside[0]} is not one of the {probs.shape[1]} classes that '
                         'have a probability.')
    sums = probs.sum(axis=1, dtype=np.float64)
    # Turned round, so that NaN is wrong too.
    wrong = np.flatnonzero(~((np.abs(sums - 1) <= SUM_TOLERANCE) & (probs >= 0).all(axis=1)))
    if wrong.size:
        row = probs[wrong[0]]
        raise ValueError(f'{wrong.size} of {len(probs)} samples have a probability that is NaN or '
                         'negative, or a sum that is not 1: the first goes from '
                         f'{row.min():g} to {row.max():g} with sum {sums[wrong[0]]:g}. Expected '
                         'the softmax, in float32, of a network that has not diverged.')


def check_options(metrics: Sequence[str] = ('ece', ), num_bins: int = 15) -> None:
    """Raise for anything but names of metrics, one or more, and a positive number of bins."""
    if not metrics or not set(metrics) <= set(SAFETY_METRICS):
        raise ValueError(f'metrics must be some of {", ".join(SAFETY_METRICS)}, but got '
                         f'{metrics!r}.')
    if type(num_bins) is not int or num_bins < 1:
        raise ValueError(f'num_bins must be a positive integer, but got {num_bins!r}.')


def _checked(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, the probabilities in float64."""
    probs, labels = np.asarray(probs), np.asarray(labels)
    check_predictions(probs, labels)
    return probs.astype(np.float64), labels


def _predict(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidences and correctness (0 or 1), both float64 of shape (N,)."""
    probs, labels = _checked(probs, labels)
    return probs.max(axis=1), (probs.argmax(axis=1) == labels).astype(float)


def _mean_of_ties(confidence: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Order by descending confidence; equal confidences share the mean of their values."""
    _, group, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    return np.repeat(np.bincount(group, values) / counts, counts)


def risk_coverage_curve(probs: np.ndarray, labels: np.ndarray,
                        best: bool = False) -> tuple[np.ndarray, np.ndarray]:
    r"""Error rate among the most confident samples, as the share of samples kept grows.

    With the samples in the order of falling confidence, the n-th point has the coverage
    :math:`n / N` and the risk :math:`\frac1n \sum_{i \le n} e_i` (Geifman and El-Yaniv, 2017).
    Ties: the mean over all orders of samples of equal confidence. ``best`` gives the curve of the
    best order of the same errors, all of them last. Returns coverage and risk, float64 (N,).
    """
    confidence, correct = _predict(probs, labels)
    errors = np.sort(1 - correct) if best else _mean_of_ties(confidence, 1 - correct)
    kept = np.arange(1, len(errors) + 1)
    return kept / len(errors), np.cumsum(errors) / kept


def aurc(probs: np.ndarray, labels: np.ndarray) -> float:
    """Area under the risk-coverage curve, the mean risk, x1000. Lower is better."""
    return 1000 * float(risk_coverage_curve(probs, labels)[1].mean())


def e_aurc(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Excess AURC, x1000: AURC less that of the best order of the same errors. Lower is better.

    That area (Geifman et al., 2019) is exact, not its limit :math:`r + (1 - r) \ln(1 - r)`.
    """
    risk, best = (risk_coverage_curve(probs, labels, best=best)[1] for best in (False, True))
    return 1000 * float(risk.mean() - best.mean())


def _right_and_wrong(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidences of the right predictions, in rising order, and of the wrong ones."""
    confidence, correct = _predict(probs, labels)
    return np.sort(confidence[correct == 1]), confidence[correct == 0]


def fpr95(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""False positive rate at 95 % true positive rate, x100 as in Table 10. Lower is better.

    The threshold t is the largest confidence with :math:`c_i \ge t` for at least 95 % of the
    correct predictions; the value is the percentage of the wrong ones with :math:`c_i \ge t`.
    NaN if no prediction is wrong or none is right: there is nothing to tell apart.
    """
    right, wrong = _right_and_wrong(probs, labels)
    if not len(right) or not len(wrong):
        return float('nan')
    # In integers: 0.95 has no exact binary form, and a rounding would move the threshold.
    return 100 * float(np.mean(wrong >= right[len(right) // 20]))


def auroc(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""AUROC of error detection, x100. Higher is better, 50 is chance.

    The probability that a correct prediction has a higher confidence than a wrong one
    (Hendrycks and Gimpel, 2017), a tie counting one half. NaN as for :func:`fpr95`.
    """
    right, wrong = _right_and_wrong(probs, labels)
    if not len(right) or not len(wrong):
        return float('nan')
    # Twice the right ones below each wrong one.
    below = right.searchsorted(wrong, 'left') + right.searchsorted(wrong, 'right')
    return 100 * float((len(right) - below / 2).sum() / (len(right) * len(wrong)))


def _bin(values: np.ndarray, hits: np.ndarray, num_bins: int) -> tuple[np.ndarray, ...]:
    """Edges (M + 1,) of equal-width bins; size, sum of hits and sum of values of each, (M,)."""
    check_options(num_bins=num_bins)
    # Not linspace, which multiplies: 0.6 has to be the edge 9 / 15 to the last bit.
    edges = np.arange(num_bins + 1) / num_bins
    # Bins are open below and closed above; 0 belongs to the first, a rounded-up 1 to the last.
    bins = np.searchsorted(edges, values, side='left').clip(1, num_bins) - 1
    return edges, *(np.bincount(bins, weights, num_bins) for weights in (None, hits, values))


def _calibration_error(values: np.ndarray, hits: np.ndarray, num_bins: int) -> float:
    """From 0 to 1, of predicted probabilities of what hits are 0 or 1."""
    _, _, hit_sums, value_sums = _bin(values, hits, num_bins)
    return float(np.abs(hit_sums - value_sums).sum() / len(values))


def reliability_bins(probs: np.ndarray, labels: np.ndarray,
                     num_bins: int = 15) -> dict[str, np.ndarray]:
    r"""Accuracy and mean confidence in equal-width bins of the confidence, the empty ones too.

    The bins are :math:`B_b = (\frac{b-1}{M}, \frac{b}{M}]`; their gaps between the two, weighted
    by their size, sum up to :func:`ece` / 100. Returns ``edges`` (M + 1,), ``counts``,
    ``accuracy`` and ``confidence`` (M,), the latter two NaN where a bin is empty.
    """
    edges, counts, hits, sums = _bin(*_predict(probs, labels), num_bins)
    with np.errstate(invalid='ignore'):
        return dict(edges=edges, counts=counts, accuracy=hits / counts, confidence=sums / counts)


def ece(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    r"""Expected calibration error, equal-width bins, x100 as in Table 10. Lower is better.

    :math:`100 \sum_b \frac{|B_b|}{N} |acc(B_b) - conf(B_b)|` with the bins of
    :func:`reliability_bins` (Guo et al., 2017). From 0 to 100.
    """
    return 100 * _calibration_error(*_predict(probs, labels), num_bins)


def adaptive_ece(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    r"""Expected calibration error, equal-mass bins, x100. Lower is better.

    As :func:`ece`, but in the order of falling confidence, cut into M runs of equal length
    (Nguyen and O'Connor, 2015); where M does not divide N, the first ones are longer by one.
    With fewer samples than bins, every sample is a bin. Ties: samples of equal confidence share
    their mean accuracy, also where an edge divides them. From 0 to 100.
    """
    check_options(num_bins=num_bins)
    confidence, correct = _predict(probs, labels)
    gaps = _mean_of_ties(confidence, correct - confidence)
    return 100 * sum(abs(float(run.sum())) for run in np.array_split(gaps, num_bins)) / len(gaps)


def classwise_ece(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    r"""Classwise expected calibration error, equal-width bins, x100. Lower is better.

    :math:`\frac{100}{K} \sum_k \sum_b \frac{|B_{bk}|}{N} |freq_k(B_{bk}) - mean_k(B_{bk})|`: for
    each class, its probability over all N samples is binned as in :func:`ece`, and its mean in
    the bin compared with how often the class is the true one (Kull et al., 2019). From 0 to 100.
    """
    probs, labels = _checked(probs, labels)
    return 100 * float(np.mean([
        _calibration_error(column, (labels == k).astype(float), num_bins)
        for k, column in enumerate(probs.T)]))


def brier(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Brier score, x100 as in Table 10. Lower is better.

    :math:`100 \cdot \frac1N \sum_i \sum_k (p_{ik} - [k = y_i])^2`: the sum over the classes, not
    its half and not its mean (Brier, 1950). From 0 to 200.
    """
    distance, labels = _checked(probs, labels)
    distance[np.arange(len(labels)), labels] -= 1
    return 100 * float(np.einsum('nk,nk->n', distance, distance).mean())


def nll(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Negative log-likelihood, in nats. Lower is better.

    :math:`-\frac1N \sum_i \ln p_{i y_i}`. Infinite as soon as one sample gives its true class
    the probability 0: nothing is clipped.
    """
    probs, labels = _checked(probs, labels)
    with np.errstate(divide='ignore'):
        logs = np.log(probs[np.arange(len(labels)), labels])
    return 0.0 - float(logs.mean())  # Not the negative, which prints a perfect score as -0.0.


#: All metrics by name, and those of them that take ``num_bins``.
SAFETY_METRICS: dict[str, Callable[..., float]] = dict(
    aurc=aurc, e_aurc=e_aurc, fpr95=fpr95, auroc=auroc, ece=ece, adaptive_ece=adaptive_ece,
    classwise_ece=classwise_ece, brier=brier, nll=nll)
BINNED = ('ece', 'adaptive_ece', 'classwise_ece')


def safety_scores(probs: np.ndarray, labels: np.ndarray,
                  metrics: Sequence[str] = tuple(SAFETY_METRICS),
                  num_bins: int = 15) -> dict[str, float]:
    """Several metrics of one set of predictions by name, in the order asked for; default: all."""
    check_options(metrics)
    return {name: SAFETY_METRICS[name](probs, labels, *((num_bins, ) if name in BINNED else ()))
            for name in metrics}
