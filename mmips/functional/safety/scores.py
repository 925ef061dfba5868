# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Proper scoring rules, and all metrics by name."""
from collections.abc import Callable, Sequence

import numpy as np

from .calibration import adaptive_ece, classwise_ece, ece
from .checks import check_predictions
from .ranking import aurc, auroc, e_aurc, fpr95

__all__ = ['BINNED', 'SAFETY_METRICS', 'brier', 'check_metrics', 'nll', 'safety_scores']


def brier(probs: np.ndarray, labels: np.ndarray) -> float:
    r"""Brier score, x100 as in Table 10. Lower is better.

    :math:`100 \cdot \frac1N \sum_i \sum_k (p_{ik} - [k = y_i])^2`: the sum over the classes, not
    its half and not its mean (Brier, 1950). From 0 to 200.
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


def check_metrics(metrics: Sequence[str]) -> None:
    """Raise for anything but names of metrics, one or more."""
    unknown = [name for name in metrics if name not in SAFETY_METRICS]
    if unknown or not metrics:
        raise ValueError(f'metrics must be some of {", ".join(SAFETY_METRICS)}, but got '
                         f'{unknown[0] if unknown else metrics!r}.')


def safety_scores(probs: np.ndarray, labels: np.ndarray,
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
