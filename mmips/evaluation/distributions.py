# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where classifiers put their probability: on the true class, on similar ones, or elsewhere.

Figures 2 and 8 of the IPS paper look at this on CIFAR-100, whose superclasses say which classes
are similar.
"""
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmips.config import colours
from mmips.errors import UserError
from mmips.evaluation import predictions
from mmips.evaluation.predictions import Request
from mmips.runs import files, loaders
from mmips.runs.tables import Table, to_markdown

__all__ = ['OF', 'PICKS', 'Compared', 'class_distribution', 'compare_distributions',
           'mass_table', 'pick_images', 'split_mass']

#: What a distribution over all images of a class is.
OF = dict(mean='mean predicted distribution', top1='share of top-1 predictions')
#: Which images are drawn: those that the first checkpoint gets wrong, those of them where it is
#: surest, those where the checkpoints disagree, or any.
PICKS = ('misclassified', 'confident-wrong', 'disagree', 'random')


@dataclass
class Compared:
    """What several networks predict for the images of a split.

    Args:
        probs (dict[str, np.ndarray]): Probabilities (N, K) by the networks' names.
        labels (np.ndarray): True classes (N,).
        indices (Sequence[int]): The place of each image in the split.
        classes (Sequence[str]): K names.

    Attributes:
        superclasses (dict[str, str]): Superclass by class; empty where there are none.
        near (list[list[int]]): For each class the others of its superclass.
    """
    probs: dict[str, np.ndarray]
    labels: np.ndarray
    indices: Sequence[int]
    classes: Sequence[str]
    superclasses: dict[str, str] = field(init=False)
    near: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        # Here, since mmips.functional brings torch, and a tool's --help shall not wait for it.
        from mmips.functional.cifar100_superclasses import superclass_of
        groups = self.superclasses = superclass_of(self.classes) or {}
        self.near = [[k for k, other in enumerate(self.classes) if groups and other != name
                      and groups[other] == groups[name]] for name in self.classes]


def compare_distributions(request: Request, images: Sequence[int] = (), pick: str = PICKS[0],
                          num: int = 4, seed: int = 0, class_names: Sequence[str] = (),
                          of: str = 'mean', topk: int | None = None) -> Compared:
    """Write ``distributions.json``, ``.csv`` and ``.md``, and draw images and classes.

    Args:
        request (Request): Checkpoints, images and the folder for the results.
        images (Sequence[int]): Places in the split of the images to draw, or else ``pick``.
        pick (str): One of ``PICKS``.
        num (int): How many to pick.
        seed (int): Of pick 'random'.
        class_names (Sequence[str]): Classes to draw, or else those of the images.
        of (str): One of ``OF``, the distribution of a class.
        topk (int, optional): Bars of a distribution, or else 5 of an image and 10 of a class.

    Returns:
        Compared: All predictions.

    Raises:
        UserError: For images or classes that are not there.
    """
    cfg = predictions.load_classifier_config(request)
    loader = loaders.build_loader(cfg, request.split, request.max_images)
    found = _predict(cfg, loader, request)
    places = _find_images(images, loader, found, request.split)
    labels = _find_classes(class_names, found)
    places = places or pick_images(found, pick, num, seed)
    labels = labels or list(dict.fromkeys(int(found.labels[place]) for place in places))
    rows = _make_rows(found, places, labels, of)
    folder = Path(request.out)
    folder.mkdir(parents=True, exist_ok=True)
    setup = dict(config=request.config, split=request.split, images=len(found.labels), of=of,
                 checkpoints=request.paths)
    text = to_markdown('Where the probability goes', [mass_table(found, labels, of)])
    files.write_text(folder / 'distributions.md', text)
    _write_json(folder, found, rows, setup)
    _write_csv(folder, found, rows, topk)
    _draw(folder, found, rows, _load_pictures(cfg, loader, places, request.split), topk,
          f'{request.title}, {request.split} images', OF[of])
    print(f'{text}\n{folder / "distributions.json"}, .csv, .md, distribution_images.png, '
          f'distribution_classes.png: {len(found.labels)} images')
    return found


def _predict(cfg: Any, loader: Any, request: Request) -> Compared:
    found = request.predict(cfg)
    first = next(iter(found.values()))
    number = first.probs.shape[1]
    known = predictions.class_names(loader, number)[:number]
    # The model may have more classes than the data set names.
    classes = [*known, *(f'class {k}' for k in range(len(known), number))]
    return Compared({name: part.probs for name, part in found.items()}, first.labels,
                    first.indices.tolist(), classes)


def _find_images(images: Sequence[int], loader: Any, found: Compared, split: str) -> list[int]:
    """Places among the predictions of images by their place in the split."""
    # With --max-images the loader has a part of the data set.
    whole = getattr(loader.dataset, 'dataset', loader.dataset)
    size = max(len(whole), len(loader.dataset))
    wanted = predictions.check_images(images, size, split)
    for number in wanted:
        if number not in found.indices:
            raise UserError(f'--images: image {number} is not among the {len(found.indices)} that '
                            '--max-images leaves. Leave --max-images out.')
    return [list(found.indices).index(number) for number in wanted]


def _find_classes(wanted: Sequence[str], found: Compared) -> list[int]:
    """Labels of classes by their names."""
    classes = list(found.classes)
    for name in wanted:
        if name not in classes:
            near = [*(known for known in classes if name.lower() in known.lower()),
                    *difflib.get_close_matches(name, classes, cutoff=0.5)]
            hint = (f'Did you mean {", ".join(dict.fromkeys(near[:5]))}?' if near else
                    f'There are {len(classes)}, such as {", ".join(classes[:10])}.')
            raise UserError(f'--class: there is no class {name!r}. {hint}')
        if classes.index(name) not in found.labels:
            raise UserError(f'--class: none of the {len(found.labels)} images is of the class '
                            f'{name!r}.')
    return [classes.index(name) for name in dict.fromkeys(wanted)]


def pick_images(found: Compared, pick: str, num: int, seed: int = 0) -> list[int]:
    """Places among the predictions of at most ``num`` images, see ``PICKS``."""
    first, *others = (probs.argmax(1) for probs in found.probs.values())
    if pick == 'random':
        size = len(found.labels)
        return sorted(np.random.default_rng(seed).choice(size, min(num, size),
                                                         replace=False).tolist())
    if pick == 'disagree':
        fitting = np.flatnonzero(np.any([first != other for other in others], axis=0))
    else:
        fitting = np.flatnonzero(first != found.labels)
    if not len(fitting):
        raise UserError(f'--pick {pick}: of {len(found.labels)} images there is none. '
                        'Choose another --pick, or --images.')
    if pick == 'confident-wrong':
        confidence = next(iter(found.probs.values())).max(1)[fitting]
        return fitting[np.argsort(-confidence, kind='stable')][:num].tolist()
    return [int(fitting[place]) for place in loaders.spread(len(fitting), num)]


def class_distribution(probs: np.ndarray, labels: np.ndarray, label: int,
                       of: str = 'mean') -> np.ndarray:
    """The distribution over all images of a class, float64 (K,).

    The caption of Figure 2, "averaged top-1 predictive distribution of the baby class across
    all baby test data", can be read as the mean of the predicted distributions, 'mean', or as the
    share of the images for which each class has the largest probability, 'top1'.
    """
    own = probs[labels == label].astype(np.float64)
    if of == 'mean':
        return own.mean(axis=0)
    return np.bincount(own.argmax(axis=1), minlength=own.shape[1]) / len(own)


def split_mass(distribution: np.ndarray, label: int,
               near: Sequence[int]) -> tuple[float, float, float]:
    """The probability of the true class, of similar ones (without it), and of all others."""
    others = np.delete(distribution, [label, *near])
    return float(distribution[label]), float(distribution[list(near)].sum()), float(others.sum())


def mass_table(found: Compared, labels: Sequence[int], of: str = 'mean') -> Table:
    """How many percent go to the true class, its superclass and the rest.

    Some classes have a row for each network, above those of all images. Without superclasses,
    all but the true class is the rest.
    """
    grouped = bool(found.superclasses)
    rows = []
    selections = [(found.classes[label], [label]) for label in labels]
    for title, chosen in [*selections, ('all', np.unique(found.labels).tolist())]:
        sizes = [int((found.labels == label).sum()) for label in chosen]
        for name, probs in found.probs.items():
            masses = [split_mass(class_distribution(probs, found.labels, label, of), label,
                                 found.near[label]) for label in chosen]
            true, near, other = (f'{100 * mass:.2f}'
                                 for mass in np.average(masses, axis=0, weights=sizes))
            rows.append([title, str(sum(sizes)), name, true, *([near] if grouped else []), other])
    header = ['class', 'images', 'checkpoint', 'true class \u2191',
              *(['rest of its superclass'] if grouped else []), 'other classes \u2193']
    return Table(f'{OF[of].capitalize()} over the images of a class, in percent:', header, 3, rows)


#: What is known of images, and of classes.
_Rows = tuple[list[dict], list[dict]]


def _make_rows(found: Compared, places: Sequence[int], labels: Sequence[int], of: str) -> _Rows:
    images = [dict(image=int(found.indices[place]), label=int(found.labels[place]),
                   distributions={name: probs[place].astype(float)
                                  for name, probs in found.probs.items()}) for place in places]
    classes = [dict(label=int(label), images=int((found.labels == label).sum()), distributions={
        name: class_distribution(probs, found.labels, label, of)
        for name, probs in found.probs.items()}) for label in labels]
    return images, classes


def _write_json(folder: Path, found: Compared, rows: _Rows, setup: dict) -> None:
    names = list(found.classes)
    files.write_json(folder / 'distributions.json', dict(
        **setup, classes=names, superclasses=found.superclasses,
        **{key: [{**row, 'class': names[row['label']], 'distributions': {
            name: [round(float(value), 6) for value in values]
            for name, values in row['distributions'].items()}} for row in part]
            for key, part in zip(('image_distributions', 'class_distributions'), rows)}))


def _bars(found: Compared, row: dict, topk: int | None) -> dict[str, Any]:
    """The bars of each network."""
    from mmips.visualization.distributions import top_bars
    label, number = row['label'], topk or (5 if 'image' in row else 10)
    return {name: top_bars(values, number, label, found.near[label], found.classes,
                           _note(values, label, found))
            for name, values in row['distributions'].items()}


def _note(distribution: Any, label: int, found: Compared) -> str:
    """What the bars do not show: the rank of the true class and its superclass's probability."""
    true, alike, _ = split_mass(distribution, label, found.near[label])
    rank = 1 + int((distribution > distribution[label]).sum())
    whole = f'; superclass {100 * (true + alike):.1f}\u2009%' if found.superclasses else ''
    return f'true {100 * true:.1f}\u2009%, rank {rank}{whole}'


def _write_csv(folder: Path, found: Compared, rows: _Rows, topk: int | None) -> None:
    """Write the bars of both pictures, one a row."""
    lines = []
    for row in [*rows[0], *rows[1]]:
        about = f'image {row["image"]}' if 'image' in row else f'{row["images"]} images'
        for name, bars in _bars(found, row, topk).items():
            lines += [[about, found.classes[row['label']], name, rank, *bar[:2],
                       f'{100 * bar[2]:.4f}']
                      for rank, bar in enumerate(zip(bars.classes, bars.kinds, bars.values), 1)]
    files.write_csv(folder / 'distributions.csv', [
        'of', 'true class', 'checkpoint', 'rank', 'class', 'kind', 'percent'], lines)


def _load_pictures(cfg: Any, loader: Any, places: Sequence[int], split: str) -> list[np.ndarray]:
    """Images as the network sees them, (H, W, 3) uint8 RGB."""
    import torch

    from mmips.visualization import denormalize
    preprocessor = predictions.build_model(cfg, 'cpu').data_preprocessor
    with torch.no_grad():
        inputs = [preprocessor(loader.collate_fn([loader.dataset[place]]), False)['inputs']
                  for place in places]
    bgr = colours.network_order(cfg, split) == 'bgr'
    return [denormalize(image, preprocessor, bgr)[0] for image in inputs]


def _draw(folder: Path, found: Compared, rows: _Rows, pictures: Sequence[np.ndarray],
          topk: int | None, about: str, of: str) -> None:
    from mmips.visualization.distributions import draw_distributions

    def caption(row: dict) -> str:
        name = found.classes[row['label']]
        text = f'{name} ({found.superclasses[name]})' if found.superclasses else name
        return f'{row["image"]}: {text}' if 'image' in row else f'{text}, {row["images"]} images'

    near = 'its superclass' if found.superclasses else ''
    for file, part, images, title in (('distribution_images.png', rows[0], pictures,
                                       'Predictive distributions'),
                                      ('distribution_classes.png', rows[1], (), of.capitalize())):
        bars = {caption(row): list(_bars(found, row, topk).values()) for row in part}
        files.write_picture(folder / file, draw_distributions(
            bars, list(found.probs), images, f'{title}, {about}', near))
