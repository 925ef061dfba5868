# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
r"""How far a classifier's confidence can be trusted: the safety metrics of the IPS paper.

Table 10 of the paper prints AURC, FPR, ECE and the Brier score; the others are the usual
ones beside them. Every function takes

- ``probs``: class probabilities of shape (N, K), any float dtype, rows that sum to 1;
- ``labels``: true classes of shape (N,), integers from 0 to K - 1,

as NumPy arrays, computes in float64, and returns a float. Sample i is predicted to be the
class of the largest probability (the first of equal ones), its confidence :math:`c_i` is that
probability, and its error :math:`e_i` is 1 if the prediction is wrong, else 0.

No value depends on the order of the samples, beyond float64's rounding. Input that is not of
this kind raises a ``ValueError`` (:func:`check_predictions`).
"""
from collections.abc import Callable, Sequence

import numpy as np

__all__ = ['BINNED', 'SAFETY_METRICS', 'adaptive_ece', 'auroc', 'aurc', 'brier', 'check_metrics',
           'check_num_bins', 'check_predictions', 'classwise_ece', 'e_aurc', 'ece', 'fpr95', 'nll',
           'safety_scores']

#: How far a row may be from a sum of 1: float16 probabilities of 1000 classes are within it.
SUM_TOLERANCE = 1e-3


def check_predictions(probs: np.ndarray, labels: np.ndarray) -> None:
    """Raise for anything but N >= 1 rows of class probabilities with one class label each.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).

    Raises:
        ValueError: For other shapes or no sample, for labels that are no integers or outside
            the classes, for probabilities that are NaN, infinite or negative, and for rows
            whose sum is further than 0.001 from 1.
    """
    if probs.ndim != 2 or labels.shape != probs.shape[:1]:
        raise ValueError('Expected probabilities of shape (N, K) and labels of shape (N,), but got '
                         f'{probs.shape} and {labels.shape}.')
    if probs.size == 0:
        raise ValueError(f'Expected at least one sample and one class, but got {probs.shape}.')
    if labels.dtype.kind not in 'iu':
        raise ValueError(f'Labels must be integers, one class a sample, but got {labels.dtype}.')
    outside = (labels < 0) | (labels >= probs.shape[1])
    if outside.any():
        raise ValueError(f'Label {labels[outside][0]} is not one of the {probs.shape[1]} classes '
                         f'0 to {probs.shape[1] - 1} that have a probability.')
    finite = np.isfinite(probs).all(axis=1)
    if not finite.all():
        raise ValueError(f'{(~finite).sum()} of {len(probs)} samples have a probability that is '
                         'NaN or infinite. Did the training diverge?')
    sums = probs.sum(axis=1, dtype=np.float64)
    wrong = (np.abs(sums - 1) > SUM_TOLERANCE) | (probs < 0).any(axis=1)
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(f'{wrong.sum()} of {len(probs)} samples have no class probabilities: '
                         f'those of the first are from {probs[first].min():g} to '
                         f'{probs[first].max():g} with sum {sums[first]:g}. Expected the softmax '
                         'of the logits, in float32.')


def check_num_bins(num_bins: int) -> None:
    """Raise for anything but a positive number of bins.

    Args:
        num_bins (int): Number of bins of the calibration errors.

    Raises:
        ValueError: For what is no positive integer.
    """
    if isinstance(num_bins, bool) or not isinstance(num_bins, int) or num_bins < 1:
        raise ValueError(f'num_bins must be a positive integer, but got {num_bins!r}.')


def check_metrics(metrics: Sequence[str]) -> None:
    """Raise for anything but names of metrics.

    Args:
        metrics (Sequence[str]): Keys of :data:`SAFETY_METRICS`.

    Raises:
        ValueError: For no name, or one that is not known.
    """
    unknown = [name for name in metrics if name not in SAFETY_METRICS]
    if unknown or not metrics:
        raise ValueError(f'metrics must be some of {", ".join(SAFETY_METRICS)}, but got '
                         f'{unknown[0] if unknown else metrics!r}.')


def _predict(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences and correctness (0 or 1), both float64 of shape (N,)."""
    probs, labels = np.asarray(probs), np.asarray(labels)
    check_predictions(probs, labels)
    return probs.max(axis=1).astype(np.float64), (probs.argmax(axis=1) == labels).astype(float)


def _mean_of_ties(confidence: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Order by descending confidence; equal confidences share the mean of their values."""
    _, group, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    return np.repeat(np.bincount(group, values) / counts, counts)


def _area(errors: np.ndarray) -> float:
    """Area under the risk-coverage curve of errors in the order in which they are kept."""
    return float(np.mean(np.cumsum(errors) / np.arange(1, len(errors) + 1)))


def aurc(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Area under the risk-coverage curve, x1000 as in Table 10. Lower is better.

    With the samples in the order of falling confidence,
    :math:`1000 \cdot \frac1N \sum_{n=1}^{N} \frac1n \sum_{i \le n} e_i`: the error rate among
    the n most confident, averaged over all n (Geifman and El-Yaniv, 2017). Ties: the mean over
    all orders of samples of equal confidence. 0 if all are right, 1000 if all are wrong.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).

    Returns:
        float: From 0 to 1000.

    Raises:
        ValueError: See :func:`check_predictions`.
    """
    confidence, correct = _predict(probs, labels)
    return 1000 * _area(_mean_of_ties(confidence, 1 - correct))


def e_aurc(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Excess AURC, x1000: AURC less that of the best order of the same errors. Lower is better.

    The best order has every error after every correct sample (Geifman et al., 2019). Its area
    is computed exactly for N samples; :math:`r + (1 - r) \ln(1 - r)`, with the error rate r, is
    its limit for large N, and what some codes subtract. Ties as in :func:`aurc`. 0 if all are
    right or all are wrong.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).

    Returns:
        float: From 0 to 1000.

    Raises:
        ValueError: See :func:`check_predictions`.
    """
    confidence, correct = _predict(probs, labels)
    errors = 1 - correct
    return 1000 * (_area(_mean_of_ties(confidence, errors)) - _area(np.sort(errors)))


def fpr95(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""False positive rate at 95 % true positive rate, x100 as in Table 10. Lower is better.

    The threshold t is the largest confidence with :math:`c_i \ge t` for at least 95 % of the
    correct predictions; the value is the percentage of the wrong ones with :math:`c_i \ge t`.
    Ties: samples at the threshold are all kept. NaN if no prediction is wrong or none is
    right, because there is nothing to tell apart.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).

    Returns:
        float: From 0 to 100, or NaN.

    Raises:
        ValueError: See :func:`check_predictions`.
    """
    confidence, correct = _predict(probs, labels)
    right, wrong = np.sort(confidence[correct == 1])[::-1], confidence[correct == 0]
    if not len(right) or not len(wrong):
        return float('nan')
    # In integers: 0.95 has no exact binary form, and a rounding would move the threshold.
    needed = -(-95 * len(right) // 100)
    return 100 * float(np.mean(wrong >= right[needed - 1]))


def auroc(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""AUROC of error detection, x100. Higher is better, 50 is chance.

    The probability that a correct prediction has a higher confidence than a wrong one
    (Hendrycks and Gimpel, 2017). Ties: a pair of equal confidences counts one half. NaN if no
    prediction is wrong or none is right, because there is nothing to tell apart.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).

    Returns:
        float: From 0 to 100, or NaN.

    Raises:
        ValueError: See :func:`check_predictions`.
    """
    confidence, correct = _predict(probs, labels)
    _, group = np.unique(confidence, return_inverse=True)
    right, wrong = np.bincount(group, correct), np.bincount(group, 1 - correct)
    if not right.any() or not wrong.any():
        return float('nan')
    wrong_below = np.cumsum(wrong) - wrong / 2
    return 100 * float(right @ wrong_below / (right.sum() * wrong.sum()))


def _equal_width_error(values: np.ndarray, hits: np.ndarray, num_bins: int) -> float:
    """Calibration error, from 0 to 1, of predicted probabilities of what hits are 0 or 1."""
    # Not linspace, which multiplies: 0.6 has to be the edge 9 / 15 to the last bit.
    edges = np.arange(num_bins + 1) / num_bins
    # Bins are open below and closed above; 0 belongs to the first, a rounded-up 1 to the last.
    bins = np.searchsorted(edges, values, side='left').clip(1, num_bins)
    return float(np.abs(np.bincount(bins, hits - values)).sum() / len(values))


def ece(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    r"""Expected calibration error, equal-width bins, x100 as in Table 10. Lower is better.

    :math:`100 \sum_b \frac{|B_b|}{N} |acc(B_b) - conf(B_b)|` with the bins
    :math:`B_b = (\frac{b-1}{M}, \frac{b}{M}]` of the confidence (Guo et al., 2017). Ties are in
    one bin. The edges are compared in float64, so float32's 0.2, which is a little more, lies
    above an edge of 0.2.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).
        num_bins (int): M. Default: 15.

    Returns:
        float: From 0 to 100.

    Raises:
        ValueError: See :func:`check_predictions`; and for ``num_bins`` < 1.
    """
    check_num_bins(num_bins)
    confidence, correct = _predict(probs, labels)
    return 100 * _equal_width_error(confidence, correct, num_bins)


def adaptive_ece(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    r"""Expected calibration error, equal-mass bins, x100. Lower is better.

    As :func:`ece`, but in the order of falling confidence, cut into M runs of equal length
    (Nguyen and O'Connor, 2015); where M does not divide N, the first ones are longer by one.
    With fewer samples than bins, every sample is a bin. Ties: samples of equal confidence share
    their mean accuracy, also where an edge divides them.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).
        num_bins (int): M. Default: 15.

    Returns:
        float: From 0 to 100.

    Raises:
        ValueError: See :func:`check_predictions`; and for ``num_bins`` < 1.
    """
    check_num_bins(num_bins)
    confidence, correct = _predict(probs, labels)
    gaps = _mean_of_ties(confidence, correct - confidence)
    return 100 * sum(abs(float(run.sum())) for run in np.array_split(gaps, num_bins)) / len(gaps)


def classwise_ece(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    r"""Classwise expected calibration error, equal-width bins, x100. Lower is better.

    :math:`\frac{100}{K} \sum_k \sum_b \frac{|B_{bk}|}{N} |freq_k(B_{bk}) - mean_k(B_{bk})|`: for
    each class, its probability over all N samples is binned as in :func:`ece`, and its mean in
    the bin compared with how often the class is the true one (Kull et al., 2019). Probability 0
    belongs to the first bin. Ties are in one bin.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).
        num_bins (int): M. Default: 15.

    Returns:
        float: From 0 to 100.

    Raises:
        ValueError: See :func:`check_predictions`; and for ``num_bins`` < 1.
    """
    check_num_bins(num_bins)
    probs, labels = np.asarray(probs), np.asarray(labels)
    check_predictions(probs, labels)
    errors = [_equal_width_error(column.astype(np.float64), (labels == k).astype(float), num_bins)
              for k, column in enumerate(probs.T)]
    return 100 * float(np.mean(errors))


def brier(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Brier score, x100 as in Table 10. Lower is better.

    :math:`100 \cdot \frac1N \sum_i \sum_k (p_{ik} - [k = y_i])^2`: the sum over the classes, not
    its half and not its mean (Brier, 1950).

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).

    Returns:
        float: From 0 to 200.

    Raises:
        ValueError: See :func:`check_predictions`.
    """
    probs, labels = np.asarray(probs), np.asarray(labels)
    check_predictions(probs, labels)
    distance = probs.astype(np.float64)
    distance[np.arange(len(labels)), labels] -= 1
    return 100 * float(np.einsum('nk,nk->n', distance, distance).mean())


def nll(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Negative log-likelihood, in nats. Lower is better.

    :math:`-\frac1N \sum_i \ln p_{i y_i}`. Infinite as soon as one sample gives its true class
    the probability 0: nothing is clipped.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).

    Returns:
        float: From 0, or infinity.

    Raises:
        ValueError: See :func:`check_predictions`.
    """
    probs, labels = np.asarray(probs), np.asarray(labels)
    check_predictions(probs, labels)
    with np.errstate(divide='ignore'):
        logs = np.log(probs[np.arange(len(labels)), labels].astype(np.float64))
    return 0.0 - float(logs.mean())  # Not the negative, which prints a perfect score as -0.0.


#: All metrics by name, and those of them that take ``num_bins``.
SAFETY_METRICS: dict[str, Callable[..., float]] = dict(
    aurc=aurc, e_aurc=e_aurc, fpr95=fpr95, auroc=auroc, ece=ece, adaptive_ece=adaptive_ece,
    classwise_ece=classwise_ece, brier=brier, nll=nll)
BINNED = ('ece', 'adaptive_ece', 'classwise_ece')


def safety_scores(probs: np.ndarray,
                  labels: np.ndarray,
                  metrics: Sequence[str] = tuple(SAFETY_METRICS),
                  num_bins: int = 15) -> dict[str, float]:
    """Several metrics of one set of predictions.

    Args:
        probs (np.ndarray): Class probabilities, shape (N, K).
        labels (np.ndarray): True classes, shape (N,).
        metrics (Sequence[str]): Keys of :data:`SAFETY_METRICS`. Default: all.
        num_bins (int): Bins of the calibration errors. Default: 15.

    Returns:
        dict[str, float]: Values by name, in the order asked for and the unit of each function.

    Raises:
        ValueError: For an unknown name, and see :func:`check_predictions`.
    """
    check_metrics(metrics)
    return {name: SAFETY_METRICS[name](probs, labels,
                                       **({'num_bins': num_bins} if name in BINNED else {}))
            for name in metrics}
