# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Soft labels over the classes that an image does not have, by Zipf's law."""
import torch
from torch import Tensor


def zipf_labels(scores: Tensor, labels: Tensor, count_label: bool = False) -> Tensor:
    r"""Probabilities of the other classes that fall with their rank r as 1 / r.

    The class with the highest score has rank 1; classes of one score share the smallest of their
    ranks. The label has none and gets 0; the others sum to 1. Without a wait for the device.

    Args:
        scores (Tensor): What the classes are ranked by, (N, C), floating.
        labels (Tensor): The labels, int64 (N,).
        count_label (bool): Let the label push those behind it a rank back. Default: False.

    Returns:
        Tensor: (N, C), of the type of ``scores``, without gradient.
    """
    classes = scores.shape[1]
    # Behind all others, the label pushes none of them back.
    others = scores.detach()
    if not count_label:
        others = others.scatter(1, labels[:, None], -torch.inf)
    not_above = torch.searchsorted(others.sort(1)[0], others, right=True)
    weights = (1 / (1 + classes - not_above).to(scores.dtype)).scatter(1, labels[:, None], 0)
    return weights / weights.sum(1, keepdim=True)


def non_target_log_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-softmax (N, C) over all but the label; log p / (1 - p_y) of the whole softmax p."""
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return logits - others.logsumexp(1, keepdim=True)
