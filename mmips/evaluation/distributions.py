# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where classifiers put their probability: on the true class, on similar ones, or elsewhere.

Figures 2 and 8 of the IPS paper look at this on CIFAR-100, whose superclasses say which classes
are similar.
"""
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

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
    """What several networks predict for the images of a split."""

    #: Probabilities (N, K) by the networks' names.
    probs: dict[str, np.ndarray]
    #: True classes (N,).
    labels: np.ndarray
    #: The place of each image in the split.
    indices: Sequence[int]
    #: K names.
    classes: Sequence[str]

    def __post_init__(self) -> None:
        # Here, since mmips.functional brings torch, and a tool's --help shall not wait for it.
        from mmips.functional.cifar100_superclasses import superclass_of
        #: Superclass by class; empty where there are none.
        self.superclasses = superclass_of(self.classes) or {}

    def near(self, label: int) -> list[int]:
        """The other classes of the same superclass."""
        groups = self.superclasses
        return [k for k, name in enumerate(self.classes if groups else ())
                if k != label and groups[name] == groups[self.classes[label]]]


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
    parts = request.predict(cfg)
    first = parts[request.names[0]]
    number = first.probs.shape[1]
    found = Compared({name: part.probs for name, part in parts.items()}, first.labels,
                     first.indices.tolist(), predictions.class_names(loader, number)[:number])
    places = _find_images(images, loader, found, request.split)
    labels = _find_classes(class_names, found)
    places = places or pick_images(found, pick, num, seed)
    labels = labels or list(dict.fromkeys(int(found.labels[place]) for place in places))
    folder = Path(request.out)
    folder.mkdir(parents=True, exist_ok=True)
    text = to_markdown('Where the probability goes', [mass_table(found, labels, of)])
    files.write_text(folder / 'distributions.md', text)
    rows = _make_rows(found, places, labels, of)
    files.write_json(folder / 'distributions.json', dict(
        config=request.config, split=request.split, images=len(found.labels), of=of,
        checkpoints=request.paths, classes=list(found.classes), superclasses=found.superclasses,
        **{key: [{**row, 'class': found.classes[row['label']], 'distributions': {
            name: [round(value, 6) for value in values.tolist()]
            for name, values in row['distributions'].items()}} for row in part]
            for key, part in zip(('image_distributions', 'class_distributions'), rows)}))
    pictures = _load_pictures(cfg, loader, places, request.split)
    _draw(folder, found, rows, pictures, topk, f'{request.title}, {request.split} images', OF[of])
    print(f'{text}\n{folder / "distributions.json"}, .csv, .md, distribution_images.png, '
          f'distribution_classes.png: {len(found.labels)} images')
    return found


def _find_images(images: Sequence[int], loader: Any, found: Compared, split: str) -> list[int]:
    """Places among the predictions of images by their place in the split."""
    # With --max-images the loader has a part of the data set.
    whole = getattr(loader.dataset, 'dataset', loader.dataset)
    size = max(len(whole), len(loader.dataset))
    wanted = predictions.check_images(images, size, split)
    left_out = sorted({*wanted} - {*found.indices})
    if left_out:
        raise UserError(f'--images: image {left_out[0]} is not among the {len(found.indices)} that '
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

    The caption of Figure 2, "averaged top-1 predictive distribution", can be read as the mean of
    the predicted distributions, 'mean', or as the share of the images for which each class has the
    largest probability, 'top1'.
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
    for title, chosen in [*((found.classes[label], [label]) for label in labels),
                          ('all', np.unique(found.labels).tolist())]:
        sizes = [int((found.labels == label).sum()) for label in chosen]
        for name, probs in found.probs.items():
            masses = [split_mass(class_distribution(probs, found.labels, label, of), label,
                                 found.near(label)) for label in chosen]
            true, near, other = (f'{100 * mass:.2f}'
                                 for mass in np.average(masses, axis=0, weights=sizes))
            rows.append([title, str(sum(sizes)), name, true, *([near] if grouped else []), other])
    header = ['class', 'images', 'checkpoint', 'true class \u2191',
              *(['rest of its superclass'] if grouped else []), 'other classes \u2193']
    return Table(f'{OF[of].capitalize()} over the images of a class, in percent:', header, 3, rows)


#: What is known of images, and of classes.
_Rows = tuple[list[dict], list[dict]]


def _make_rows(found: Compared, places: Sequence[int], labels: Sequence[int], of: str) -> _Rows:
    images = [dict(image=found.indices[place], label=int(found.labels[place]), distributions={
        name: probs[place].astype(float) for name, probs in found.probs.items()})
        for place in places]
    classes = [dict(images=int((found.labels == label).sum()), label=label, distributions={
        name: class_distribution(probs, found.labels, label, of)
        for name, probs in found.probs.items()}) for label in labels]
    return images, classes


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
    """Draw images and classes, and write the bars of both pictures, one a row."""
    from mmips.visualization.distributions import draw_distributions
    lines: list[list] = []
    near = 'its superclass' if found.superclasses else ''
    for kind, part, images, title, number in (
            ('images', rows[0], pictures, 'Predictive distributions', topk or 5),
            ('classes', rows[1], (), of.capitalize(), topk or 10)):
        drawn = {}
        for row in part:
            panels = [make_bars(found, values, row['label'], number)
                      for values in row['distributions'].values()]
            name, size = found.classes[row['label']], f'{row.get("images")} images'
            group = f' ({found.superclasses[name]})' if found.superclasses else ''
            caption = f'{name}{group}, {size}'
            if 'image' in row:
                size, caption = f'image {row["image"]}', f'{row["image"]}: {name}{group}'
            drawn[caption] = panels
            lines += [[size, name, network, rank, *bar[:2], f'{100 * bar[2]:.4f}']
                      for network, (_, bars) in zip(found.probs, panels)
                      for rank, bar in enumerate(bars.itertuples(index=False), 1)]
        files.write_picture(folder / f'distribution_{kind}.png', draw_distributions(
            drawn, list(found.probs), images, f'{title}, {about}', near))
    files.write_csv(folder / 'distributions.csv', [
        'of', 'true class', 'checkpoint', 'rank', 'class', 'kind', 'percent'], lines)
