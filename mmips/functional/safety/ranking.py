# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Does the confidence tell right predictions from wrong ones?"""
import numpy as np

from .checks import mean_of_ties, predict

__all__ = ['auroc', 'aurc', 'e_aurc', 'fpr95', 'risk_coverage_curve']


def risk_coverage_curve(probs: np.ndarray, labels: np.ndarray,
                        best: bool = False) -> tuple[np.ndarray, np.ndarray]:
    r"""Error rate among the most confident samples, as the share of samples kept grows.

    With the samples in the order of falling confidence, the n-th point has the coverage
    :math:`n / N` and the risk :math:`\frac1n \sum_{i \le n} e_i` (Geifman and El-Yaniv, 2017).
    Ties: the mean over all orders of samples of equal confidence. The risks' mean is
    :func:`aurc` / 1000, and the last one is the error rate. ``best`` gives the curve of the best
    order of the same errors, every error after every correct sample.

    Returns coverage and risk, float64 (N,), from 0 to 1.
    """
    confidence, correct = predict(probs, labels)
    errors = np.sort(1 - correct) if best else mean_of_ties(confidence, 1 - correct)
    kept = np.arange(1, len(errors) + 1)
    return kept / len(errors), np.cumsum(errors) / kept


def aurc(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Area under the risk-coverage curve, x1000 as in Table 10. Lower is better.

    With the samples in the order of falling confidence,
    :math:`1000 \cdot \frac1N \sum_{n=1}^{N} \frac1n \sum_{i \le n} e_i`: the error rate among
    the n most confident, averaged over all n (Geifman and El-Yaniv, 2017). Ties: the mean over
    all orders of samples of equal confidence. 0 if all are right, 1000 if all are wrong.
    """
    return 1000 * float(risk_coverage_curve(probs, labels)[1].mean())


def e_aurc(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Excess AURC, x1000: AURC less that of the best order of the same errors. Lower is better.

    The best order has every error after every correct sample (Geifman et al., 2019). Its area
    is computed exactly for N samples; :math:`r + (1 - r) \ln(1 - r)`, with the error rate r, is
    its limit for large N, and what some codes subtract. Ties as in :func:`aurc`. 0 if all are
    right or all are wrong.
    """
    risk, best = (risk_coverage_curve(probs, labels, best=best)[1] for best in (False, True))
    return 1000 * float(risk.mean() - best.mean())


def fpr95(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""False positive rate at 95 % true positive rate, x100 as in Table 10. Lower is better.

    The threshold t is the largest confidence with :math:`c_i \ge t` for at least 95 % of the
    correct predictions; the value is the percentage of the wrong ones with :math:`c_i \ge t`.
    Ties: samples at the threshold are all kept. NaN if no prediction is wrong or none is
    right, because there is nothing to tell apart.
    """
    confidence, correct = predict(probs, labels)
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
    """
    confidence, correct = predict(probs, labels)
    _, group = np.unique(confidence, return_inverse=True)
    right, wrong = np.bincount(group, correct), np.bincount(group, 1 - correct)
    if not right.any() or not wrong.any():
        return float('nan')
    wrong_below = np.cumsum(wrong) - wrong / 2
    return 100 * float(right @ wrong_below / (right.sum() * wrong.sum()))
