# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Wrong labels, exactly so many in every class (IPS paper, Section 4.5.2 and Table 14).

The paper follows Y. Wang et al., Symmetric cross entropy for robust learning with noisy labels,
ICCV 2019. That the rate holds in every class, and how a half image is rounded, is inferred. What
happens to a class depends on the seed, the class, its number of images and the number of classes
alone. What is flipped at a low rate is flipped at a higher one, to the same wrong labels.
"""
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from numbers import Integral, Real

import numpy as np

from mmips.functional.cifar100_superclasses import SUPERCLASSES


def count_flips(rate: float, size: int) -> int:
    """How many of ``size`` images are flipped: ``rate * size``, a half rounded up.

    0.145 of 100 images is 14.5 and becomes 15, although the product of the floats lies below.
    """
    return int((Decimal(str(float(rate))) * size).to_integral_value(ROUND_HALF_UP))


def flip_labels(labels: np.ndarray, num_classes: int, rate: float, seed: int = 0,
                class_map: Mapping[int, int] | None = None) -> np.ndarray:
    """Flip :func:`count_flips` images of every class, uniformly to one of the others.

    With a map, by :func:`resolve_class_map`, those of its sources alone, to their targets. Labels
    are integers (N,) from 0 to ``num_classes - 1``; returned int64.
    """
    if class_map is None and num_classes < 2:
        raise ValueError(f'Symmetric noise takes at least two classes, but there is {num_classes}.')
    outside = labels[(labels < 0) | (labels >= num_classes)]
    if class_map is None and len(outside):
        raise ValueError(f'Label {outside[0]} is not one of the {num_classes} classes, 0 to '
                         f'{num_classes - 1}.')
    noisy = labels.astype(np.int64)
    for label in np.unique(labels).tolist() if class_map is None else class_map:
        rng = np.random.default_rng([seed, label])
        members = rng.permutation(np.flatnonzero(labels == label))
        # Drawn for all, so that an image gets the same wrong label at every rate.
        targets = ((label + rng.integers(1, num_classes, len(members))) % num_classes
                   if class_map is None else np.full(len(members), class_map[label]))
        number = count_flips(rate, len(members))
        noisy[members[:number]] = targets[:number]
    return noisy


def resolve_class_map(class_map: str | Mapping[str | int, str | int], num_classes: int,
                      classes: Sequence[str] | None = None) -> dict[int, int]:
    """Turn a map of class names or numbers, source to target, into one of numbers.

    'next' goes from every class to the one behind it and from the last to the first; 'cifar100'
    does so within each superclass of CIFAR-100 (G. Patrini et al., Making deep neural networks
    robust to label noise, CVPR 2017).
    """
    if class_map == 'next':
        class_map = _circular(range(num_classes))
    elif class_map == 'cifar100':
        class_map = {source: target for group in SUPERCLASSES.values()
                     for source, target in _circular(group).items()}
    if not isinstance(class_map, Mapping) or not class_map:
        raise ValueError("class_map must be 'next', 'cifar100' or a dict that maps at least one "
                         f'class to another, but got {class_map!r}.')
    numbers: dict = {number: number for number in range(num_classes)}
    for number, label in enumerate(classes or ()):
        numbers.setdefault(str(label), number)
    resolved: dict[int, int] = {}
    for source, target in class_map.items():
        unknown = [name for name in (source, target) if name not in numbers]
        if unknown:
            known = ', '.join(list(numbers)[num_classes:][:5]) or 'they have none'
            raise ValueError(f'class_map: the class {unknown[0]!r} does not exist. Give a number '
                             f'from 0 to {num_classes - 1} or a name: {known} ...')
        if numbers[source] in resolved or numbers[source] == numbers[target]:
            raise ValueError(f'class_map must map the class {source!r} once and to another, but '
                             f'got {class_map!r}.')
        resolved[numbers[source]] = numbers[target]
    return resolved


def _circular(group: Sequence) -> dict:
    return {kind: group[(place + 1) % len(group)] for place, kind in enumerate(group)}


def check_noise(rate: float, seed: int) -> None:
    """Raise a ``ValueError`` unless a rate is in [0, 1] and a seed an integer from 0."""
    if not isinstance(rate, Real) or not 0 <= rate <= 1:
        raise ValueError(f'rate must be a number from 0 to 1, but got {rate!r}.')
    if not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f'seed must be a whole number and not negative, but got {seed!r}.')
