# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where classifiers put their probability: on the true class, on similar ones, or elsewhere.

Figures 2 and 8 of the IPS paper look at this on CIFAR-100, whose superclasses say which classes
are similar.
"""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.runs import loaders
from mmips.runs.tables import Table, to_markdown

#: What a distribution over all images of a class is.
OF = dict(mean='mean predicted distribution', top1='share of top-1 predictions')
#: Which images are drawn, see ``--pick``.
PICKS = ('misclassified', 'confident-wrong', 'disagree', 'random')


@dataclass
class Compared:
    """What several networks predict for N images of a split."""
    probs: dict[str, np.ndarray]  # (N, K) each.
    labels: np.ndarray  # True classes (N,).
    indices: Sequence[int]  # The place of each image in the split.
    classes: Sequence[str]  # K names.

    def __post_init__(self) -> None:
        # Here, since mmips.functional brings torch, and a tool's --help shall not wait for it.
        from mmips.functional.cifar100_superclasses import superclass_of
        #: Superclass by class; empty where there are none.
        self.superclasses = superclass_of(self.classes) or {}

    def near(self, label: int) -> list[int]:
        """The other classes of the same superclass."""
        own = self.superclasses.get(self.classes[label])
        return [k for k, name in enumerate(self.classes)
                if own and k != label and self.superclasses[name] == own]


def compare_distributions(request: predictions.Request) -> Compared:
    """Do what ``tools/visualization/predictive_distribution.py`` is asked for."""
    cfg = predictions.load_classifier_config(request)
    loader = request.build_loader(cfg)
    parts = request.predict(cfg)
    first = parts[request.names[0]]
    number = first.probs.shape[1]
    found = Compared({name: part.probs for name, part in parts.items()}, first.labels,
                     first.indices.tolist(), predictions.class_names(loader, number)[:number])
    chosen = (predictions.find_images(request.images, found.indices, request.split)
              or pick_images(found, request.pick, request.num, request.seed))
    labels = _find_classes(request.class_names, found) or list(
        dict.fromkeys(found.labels[chosen].tolist()))
    images = [dict(image=found.indices[place], label=int(found.labels[place]), distributions={
        name: probs[place].astype(float) for name, probs in found.probs.items()})
        for place in chosen]
    classes = [dict(images=int((found.labels == label).sum()), label=label,
                    distributions={
                        name: class_distribution(probs, found.labels, label, request.of)
                        for name, probs in found.probs.items()}) for label in labels]
    pixels = predictions.load_images(cfg, predictions.build_model(cfg, 'cpu'), loader, chosen,
                                     request.split)[-1]
    rows, pictures = _draw(found, request, images, classes, pixels)
    predictions.write(
        request.out, 'distributions', to_markdown('Where the probability goes', [
            mass_table(found, labels, request.of)]), rows, dict(
            config=request.config, split=request.split, images=len(found.labels), of=request.of,
            checkpoints=request.paths, classes=found.classes, superclasses=found.superclasses,
            image_distributions=_rounded(found, images),
            class_distributions=_rounded(found, classes)), **pictures)
    return found


def _rounded(found: Compared, parts: Sequence[dict]) -> list[dict]:
    return [{**part, 'class': found.classes[part['label']], 'distributions': {
        name: [round(value, 6) for value in values.tolist()]
        for name, values in part['distributions'].items()}} for part in parts]


def _find_classes(wanted: Sequence[str], found: Compared) -> list[int]:
    """Labels of classes by their names."""
    known = {found.classes[label]: label for label in np.unique(found.labels).tolist()}
    for name in wanted:
        if name not in known:
            raise UserError(f'--class: none of the {len(found.labels)} images is of a class '
                            f'{name!r}. {predictions.did_you_mean(name, list(known))}')
    return [known[name] for name in dict.fromkeys(wanted)]


def pick_images(found: Compared, pick: str, num: int, seed: int = 0) -> list[int]:
    """Places among the predictions of at most ``num`` images, see ``PICKS``."""
    first, *others = (probs.argmax(1) for probs in found.probs.values())
    size = len(found.labels)
    if pick == 'random':
        rng = np.random.default_rng(seed)
        return sorted(rng.choice(size, min(num, size), replace=False).tolist())
    fitting = np.flatnonzero(np.any([first != other for other in others], axis=0)
                             if pick == 'disagree' else first != found.labels)
    if not len(fitting):
        raise UserError(f'--pick {pick}: of {size} images there is none. Choose another --pick, or '
                        '--images.')
    if pick == 'confident-wrong':
        confidence = next(iter(found.probs.values())).max(1)[fitting]
        return fitting[np.argsort(-confidence, kind='stable')][:num].tolist()
    return fitting[loaders.spread(len(fitting), num)].tolist()


def class_distribution(probs: np.ndarray, labels: np.ndarray, label: int,
                       of: str = 'mean') -> np.ndarray:
    """The distribution over all images of a class, float64 (K,).

    The caption of Figure 2, "averaged top-1 predictive distribution", can be read as the mean of
    the predicted distributions or, 'top1', as the share of images for which each class is first.
    """
    own = probs[labels == label]
    given = own if of == 'mean' else np.eye(own.shape[1])[own.argmax(axis=1)]
    return given.mean(axis=0, dtype=np.float64)


def split_mass(distribution: np.ndarray, label: int,
               near: Sequence[int]) -> tuple[float, float, float]:
    """The probability of the true class, of similar ones (without it), and of all others."""
    others = np.delete(distribution, [label, *near])
    return float(distribution[label]), float(distribution[list(near)].sum()), float(others.sum())


def mass_table(found: Compared, labels: Sequence[int], of: str = 'mean') -> Table:
    """How many percent go to the true class, its superclass, if any, and the rest.

    Some classes have a row for each network, above those of all images.
    """
    sizes = dict(zip(*np.unique(found.labels, return_counts=True)))
    masses = {name: {label: split_mass(class_distribution(probs, found.labels, label, of), label,
                                       found.near(label)) for label in sizes}
              for name, probs in found.probs.items()}
    rows: list[list] = [
        [found.classes[label], str(sizes[label]), name, masses[name][label]]
        for label in labels for name in masses]
    rows += [['all', str(len(found.labels)), name,
              np.average(list(part.values()), axis=0, weights=list(sizes.values()))]
             for name, part in masses.items()]
    shown = [0, 1, 2] if found.superclasses else [0, 2]
    header = ['true class \u2191', 'rest of its superclass', 'other classes \u2193']
    return Table(
        f'{OF[of].capitalize()} over the images of a class, in percent:',
        ['class', 'images', 'checkpoint', *(header[place] for place in shown)], 3,
        [[*row, *(f'{100 * mass[place]:.2f}' for place in shown)] for *row, mass in rows])


def make_bars(found: Compared, distribution: np.ndarray, label: int,
              number: int) -> tuple[str, pd.DataFrame]:
    """The largest probabilities, of equal ones the first first, and a note on what they hide."""
    near = found.near(label)
    order = np.argsort(-distribution, kind='stable')[:number].tolist()
    bars = pd.DataFrame({
        'class': [found.classes[k] for k in order],
        'kind': ['true' if k == label else 'near' if k in near else 'other' for k in order],
        'probability': distribution[order]})
    true, alike, _ = split_mass(distribution, label, near)
    rank = 1 + int((distribution > distribution[label]).sum())
    whole = f'; superclass {100 * (true + alike):.1f}\u2009%' if found.superclasses else ''
    return f'true {100 * true:.1f}\u2009%, rank {rank}{whole}', bars


def _draw(found: Compared, request: predictions.Request, images: Sequence[dict],
          classes: Sequence[dict], pictures: Any) -> tuple[list[dict], dict[str, Any]]:
    """Draw the bars of images and classes; returns all bars, one a row, and both pictures."""
    from mmips.visualization.distributions import draw_distributions
    rows, figures = [], {}
    near = 'its superclass' if found.superclasses else ''
    for kind, parts, shown, title, number in (
            ('images', images, pictures, 'Predictive distributions', request.topk or 5),
            ('classes', classes, (), OF[request.of].capitalize(), request.topk or 10)):
        drawn = {}
        for part in parts:
            name = found.classes[part['label']]
            named = f'{name} ({found.superclasses[name]})' if found.superclasses else name
            what, caption = ((f'image {part["image"]}', f'{part["image"]}: {named}')
                             if kind == 'images' else
                             (f'{part["images"]} images', f'{named}, {part["images"]} images'))
            drawn[caption] = [make_bars(found, values, part['label'], number)
                              for values in part['distributions'].values()]
            rows += [{'of': what, 'true class': name, 'checkpoint': network, 'rank': rank,
                      'class': bar[0], 'kind': bar[1], 'percent': f'{100 * bar[2]:.4f}'}
                     for network, (_, bars) in zip(found.probs, drawn[caption])
                     for rank, bar in enumerate(bars.itertuples(index=False), 1)]
        figures[f'distribution_{kind}'] = draw_distributions(
            drawn, list(found.probs), shown,
            f'{title}, {request.title}, {request.split} images', near)
    return rows, figures
