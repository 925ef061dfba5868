# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What predictions have to be, and what all metrics derive from them."""
import numpy as np

__all__ = ['check_num_bins', 'check_predictions', 'mean_of_ties', 'predict']

#: How far a row may be from a sum of 1: float16 probabilities of 1000 classes are within it.
SUM_TOLERANCE = 1e-3


def check_predictions(probs: np.ndarray, labels: np.ndarray) -> None:
    """Raise ``ValueError`` for anything but N >= 1 rows of probabilities, each with a label."""
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
    """Raise for anything but a positive number of bins."""
    if isinstance(num_bins, bool) or not isinstance(num_bins, int) or num_bins < 1:
        raise ValueError(f'num_bins must be a positive integer, but got {num_bins!r}.')


def predict(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences and correctness (0 or 1), both float64 of shape (N,)."""
    probs, labels = np.asarray(probs), np.asarray(labels)
    check_predictions(probs, labels)
    return probs.max(axis=1).astype(np.float64), (probs.argmax(axis=1) == labels).astype(float)


def mean_of_ties(confidence: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Order by descending confidence; equal confidences share the mean of their values."""
    _, group, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    return np.repeat(np.bincount(group, values) / counts, counts)
