# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Is 80 % sure right in 80 % of the cases? All take ``num_bins``, M, 15 by default."""
from dataclasses import dataclass

import numpy as np

from .checks import check_num_bins, check_predictions, mean_of_ties, predict

__all__ = ['ReliabilityBins', 'adaptive_ece', 'classwise_ece', 'ece', 'reliability_bins']


@dataclass(frozen=True)
class ReliabilityBins:
    """What a reliability diagram shows of M equal-width bins of the confidence.

    Args:
        edges (np.ndarray): Ends of the bins, float64 (M + 1,), from 0 to 1.
        counts (np.ndarray): Samples in each bin, int64 (M,).
        accuracy (np.ndarray): Share of right predictions in each bin, float64 (M,); NaN where
            a bin is empty.
        confidence (np.ndarray): Mean confidence in each bin, float64 (M,); NaN likewise.
    """
    edges: np.ndarray
    counts: np.ndarray
    accuracy: np.ndarray
    confidence: np.ndarray


def reliability_bins(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> ReliabilityBins:
    r"""Accuracy and mean confidence in equal-width bins of the confidence, the empty ones too.

    The bins are :math:`B_b = (\frac{b-1}{M}, \frac{b}{M}]`; their gaps between the two, weighted
    by their size, sum up to :func:`ece` / 100. The edges are compared in float64, so float32's
    0.2, which is a little more, lies above an edge of 0.2.
    """
    check_num_bins(num_bins)
    counts, hits, sums = _equal_width_bins(*predict(probs, labels), num_bins)
    with np.errstate(invalid='ignore'):
        return ReliabilityBins(_edges(num_bins), counts, hits / counts, sums / counts)


def _edges(num_bins: int) -> np.ndarray:
    # Not linspace, which multiplies: 0.6 has to be the edge 9 / 15 to the last bit.
    return np.arange(num_bins + 1) / num_bins


def _equal_width_bins(values: np.ndarray, hits: np.ndarray, num_bins: int) -> tuple[
        np.ndarray, np.ndarray, np.ndarray]:
    """Size, sum of hits and sum of values of each bin, all (M,)."""
    # Bins are open below and closed above; 0 belongs to the first, a rounded-up 1 to the last.
    bins = np.searchsorted(_edges(num_bins), values, side='left').clip(1, num_bins) - 1
    return (np.bincount(bins, minlength=num_bins), np.bincount(bins, hits, num_bins),
            np.bincount(bins, values, num_bins))


def _equal_width_error(values: np.ndarray, hits: np.ndarray, num_bins: int) -> float:
    """Calibration error, from 0 to 1, of predicted probabilities of what hits are 0 or 1."""
    _, hit_sums, value_sums = _equal_width_bins(values, hits, num_bins)
    return float(np.abs(hit_sums - value_sums).sum() / len(values))


def ece(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    r"""Expected calibration error, equal-width bins, x100 as in Table 10. Lower is better.

    :math:`100 \sum_b \frac{|B_b|}{N} |acc(B_b) - conf(B_b)|` with the bins of
    :func:`reliability_bins` (Guo et al., 2017). Ties are in one bin. From 0 to 100.
    """
    check_num_bins(num_bins)
    return 100 * _equal_width_error(*predict(probs, labels), num_bins)


def adaptive_ece(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    r"""Expected calibration error, equal-mass bins, x100. Lower is better.

    As :func:`ece`, but in the order of falling confidence, cut into M runs of equal length
    (Nguyen and O'Connor, 2015); where M does not divide N, the first ones are longer by one.
    With fewer samples than bins, every sample is a bin. Ties: samples of equal confidence share
    their mean accuracy, also where an edge divides them. From 0 to 100.
    """
    check_num_bins(num_bins)
    confidence, correct = predict(probs, labels)
    gaps = mean_of_ties(confidence, correct - confidence)
    return 100 * sum(abs(float(run.sum())) for run in np.array_split(gaps, num_bins)) / len(gaps)


def classwise_ece(probs: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    r"""Classwise expected calibration error, equal-width bins, x100. Lower is better.

    :math:`\frac{100}{K} \sum_k \sum_b \frac{|B_{bk}|}{N} |freq_k(B_{bk}) - mean_k(B_{bk})|`: for
    each class, its probability over all N samples is binned as in :func:`ece`, and its mean in
    the bin compared with how often the class is the true one (Kull et al., 2019). Probability 0
    belongs to the first bin. Ties are in one bin. From 0 to 100.
    """
    check_num_bins(num_bins)
    probs, labels = np.asarray(probs), np.asarray(labels)
    check_predictions(probs, labels)
    errors = [_equal_width_error(column.astype(np.float64), (labels == k).astype(float), num_bins)
              for k, column in enumerate(probs.T)]
    return 100 * float(np.mean(errors))
