# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where classifiers put their probability: on the true class, on similar ones, or elsewhere.

Figures 2 and 8 of the IPS paper look at this on CIFAR-100, whose superclasses say which classes
are similar.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ['WHAT', 'Predictions', 'class_distribution', 'mass_table', 'split_mass']

#: What a distribution over all images of a class is.
WHAT = dict(mean='mean predicted distribution', top1='share of top-1 predictions')


@dataclass
class Predictions:
    """What several networks predict for the images of a split.

    Args:
        probs (dict[str, np.ndarray]): Probabilities (N, K) by the networks' names.
        labels (np.ndarray): True classes (N,).
        classes (Sequence[str]): K names.
        numbers (Sequence[int]): The number of each image in the split.

    Attributes:
        superclasses (dict[str, str]): Superclass by class; empty where there are none.
        near (list[list[int]]): For each class the others of its superclass.
    """
    probs: dict[str, np.ndarray]
    labels: np.ndarray
    classes: Sequence[str]
    numbers: Sequence[int]
    superclasses: dict[str, str] = field(init=False)
    near: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        # Here, since mmips.functional brings torch, and a tool's --help shall not wait for it.
        from mmips.functional.cifar100_superclasses import superclass_of
        groups = self.superclasses = superclass_of(self.classes) or {}
        self.near = [[k for k, other in enumerate(self.classes) if groups and other != name
                      and groups[other] == groups[name]] for name in self.classes]


def class_distribution(probs: np.ndarray, labels: np.ndarray, label: int,
                       of: str = 'mean') -> np.ndarray:
    """The distribution over all images of a class.

    The caption of Figure 2, "averaged top-1 predictive distribution of the baby class across
    all baby test data", can be read as either of the two.

    Args:
        probs (np.ndarray): Probabilities (N, K).
        labels (np.ndarray): True classes (N,).
        label (int): The class; at least one image is of it.
        of (str): 'mean', of the predicted distributions, or 'top1', the share of the images for
            which each class has the largest probability. Defaults to 'mean'.

    Returns:
        np.ndarray: Float64 (K,), sum 1.
    """
    own = probs[labels == label].astype(np.float64)
    if of == 'mean':
        return own.mean(axis=0)
    return np.bincount(own.argmax(axis=1), minlength=own.shape[1]) / len(own)


def split_mass(distribution: np.ndarray, label: int,
               near: Sequence[int]) -> tuple[float, float, float]:
    """The probability of the true class, of similar ones, and of all others.

    Args:
        distribution (np.ndarray): Probabilities (K,).
        label (int): The true class.
        near (Sequence[int]): Similar classes, without the true one.
    """
    others = np.delete(distribution, [label, *near])
    return float(distribution[label]), float(distribution[list(near)].sum()), float(others.sum())


def mass_table(found: Predictions, labels: Sequence[int], of: str = 'mean') -> str:
    """A Markdown table of how much goes to the true class, its superclass and the rest.

    Args:
        found (Predictions): Of all networks.
        labels (Sequence[int]): Classes that have a row for each network, above those of all
            images.
        of (str): See :func:`class_distribution`. Defaults to 'mean'.

    Returns:
        str: In percent. Without superclasses, all but the true class is the rest.
    """
    grouped = bool(found.superclasses)
    lines = [f'{WHAT[of].capitalize()} over the images of a class, in percent:', '',
             '| class | images | checkpoint | true class \u2191 |'
             + (' rest of its superclass |' if grouped else '') + ' other classes \u2193 |',
             '|---|---:|---|' + '---:|' * (2 + grouped)]
    selections = [(found.classes[label], [label]) for label in labels]
    for title, chosen in [*selections, ('all', np.unique(found.labels).tolist())]:
        sizes = [int((found.labels == label).sum()) for label in chosen]
        for name, probs in found.probs.items():
            masses = [split_mass(class_distribution(probs, found.labels, label, of), label,
                                 found.near[label]) for label in chosen]
            true, near, other = (f'{100 * mass:.2f}'
                                 for mass in np.average(masses, axis=0, weights=sizes))
            cells = [title, str(sum(sizes)), name.replace('|', '\\|'), true,
                     *([near] if grouped else []), other]
            lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'
