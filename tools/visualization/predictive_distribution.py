# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Where several checkpoints of one config put their probability, for images and for classes.

::

    python tools/visualization/predictive_distribution.py CONFIG CHECKPOINT [CHECKPOINT ...] \\
        --names 'hard label' 'IPS 4x4' --out DIR --class baby girl

``distribution_images.png`` shows images beside their largest probabilities, as Figure 8 of the
IPS paper; ``distribution_classes.png`` the mean distribution over all images of a class, as its
Figure 2. Of CIFAR-100, classes of the true one's superclass have a colour of their own. The
numbers are in ``distributions.csv``, all of them in ``distributions.json``;
``distributions.md`` says how much probability stays within the superclass.
"""
import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmips  # noqa: F401  (first: it makes 'mmips::' bases readable)
from mmips.evaluation import predictions
from mmips.evaluation.distributions import (
    WHAT,
    Predictions,
    class_distribution,
    mass_table,
    split_mass,
)
from mmips.runs import cli, files, loaders

PICKS = ('misclassified', 'confident-wrong', 'disagree', 'random')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Predictive distributions of checkpoints')
    predictions.add_checkpoint_options(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--images', nargs='+', type=int, metavar='N',
                       help='numbers of the images to draw, from 0')
    which.add_argument('--pick', choices=PICKS, default=PICKS[0],
                       help='images that the first checkpoint gets wrong, those of them where it '
                       'is surest, those where the checkpoints disagree, or any '
                       f'(default: {PICKS[0]})')
    parser.add_argument('--num', type=int, default=4, metavar='N',
                        help='how many to pick (default: 4)')
    parser.add_argument('--seed', type=int, default=0, help='of --pick random (default: 0)')
    parser.add_argument('--class', nargs='+', metavar='NAME', dest='class_names', default=(),
                        help='classes whose mean distribution is drawn (default: those of the '
                        'images drawn)')
    parser.add_argument('--of', choices=list(WHAT), default='mean',
                        help='of a class the mean predicted distribution, or the share of its '
                        'images for which a class is predicted (default: mean)')
    parser.add_argument('--topk', type=int, metavar='K',
                        help='bars of a distribution (default: 5 of an image, 10 of a class)')
    args = parser.parse_args(argv)
    predictions.check_names(parser, args)
    for option in ('num', 'topk'):
        value = getattr(args, option)
        if value is not None and value < 1:
            parser.error(f'--{option} must be at least 1, got {value}')
    if args.pick == 'disagree' and len(args.checkpoints) < 2:
        parser.error('--pick disagree compares two checkpoints or more, got one')
    return args


def find_images(loader: Any, args: argparse.Namespace) -> list[int]:
    """Places in the loader of the images named on the command line."""
    from torch.utils.data import Subset
    part = loader.dataset
    size = len(part.dataset if isinstance(part, Subset) else part)
    numbers = image_numbers(loader)
    wanted = predictions.check_images(args.images or (), size, args.split)
    for number in wanted:
        if number not in numbers:
            raise ValueError(f'--images: image {number} is not among the {len(numbers)} that '
                             '--max-images leaves. Leave --max-images out.')
    return [numbers.index(number) for number in wanted]


def image_numbers(loader: Any) -> list[int]:
    """The number of each image in the whole split, of which ``--max-images`` may leave a part."""
    return list(getattr(loader.dataset, 'indices', range(len(loader.dataset))))


def find_classes(wanted: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Numbers of the classes named on the command line."""
    for name in wanted:
        if name not in classes:
            near = [*(one for one in classes if name.lower() in one.lower()),
                    *difflib.get_close_matches(name, classes, cutoff=0.5)]
            hint = (f'Did you mean {", ".join(dict.fromkeys(near[:5]))}?' if near else
                    f'There are {len(classes)}, such as {", ".join(classes[:10])}.')
            raise ValueError(f'--class: there is no class {name!r}. {hint}')
    return [list(classes).index(name) for name in dict.fromkeys(wanted)]


def pick_images(found: Predictions, args: argparse.Namespace) -> list[int]:
    """Places of the images to draw, by ``--pick``."""
    import numpy as np
    first, *others = (probs.argmax(1) for probs in found.probs.values())
    if args.pick == 'random':
        size = len(found.labels)
        chosen = np.random.default_rng(args.seed).choice(size, min(args.num, size), replace=False)
        return sorted(chosen.tolist())
    if args.pick == 'disagree':
        fitting = np.flatnonzero(np.any([first != other for other in others], axis=0))
    else:
        fitting = np.flatnonzero(first != found.labels)
    if not len(fitting):
        raise ValueError(f'--pick {args.pick}: of {len(found.labels)} images there is none. '
                         'Choose another --pick, or --images.')
    if args.pick == 'confident-wrong':
        confidence = next(iter(found.probs.values())).max(1)[fitting]
        return fitting[np.argsort(-confidence, kind='stable')][:args.num].tolist()
    return [int(fitting[place]) for place in loaders.spread(len(fitting), args.num)]


def make_note(distribution: Any, label: int, found: Predictions) -> str:
    """What the bars do not show: the rank of the true class and its superclass's probability."""
    true, alike, _ = split_mass(distribution, label, found.near[label])
    rank = 1 + int((distribution > distribution[label]).sum())
    note = f'true {100 * true:.1f}\u2009%, rank {rank}'
    whole = f'; superclass {100 * (true + alike):.1f}\u2009%' if found.superclasses else ''
    return note + whole


def make_caption(label: int, found: Predictions) -> str:
    """The class and, if it is known, its superclass."""
    name = found.classes[label]
    return f'{name} ({found.superclasses[name]})' if found.superclasses else name


def image_rows(found: Predictions, chosen: Sequence[int]) -> list[dict]:
    """What is known of the chosen images."""
    return [dict(image=int(found.numbers[place]), label=int(found.labels[place]),
                 distributions={name: probs[place].astype(float)
                                for name, probs in found.probs.items()})
            for place in chosen]


def class_rows(found: Predictions, labels: Sequence[int], of: str) -> list[dict]:
    """What is known of some classes."""
    return [dict(label=int(label), images=int((found.labels == label).sum()), distributions={
        name: class_distribution(probs, found.labels, label, of)
        for name, probs in found.probs.items()}) for label in labels]


def write(found: Predictions, images: list[dict], classes: list[dict], setup: dict,
          args: argparse.Namespace) -> str:
    """Write the JSON, CSV and Markdown files; returns the table."""
    folder = Path(args.out)
    names = list(found.classes)
    files.write_json(folder / 'distributions.json', dict(
        **setup, classes=names, superclasses=found.superclasses,
        **{what: [{**row, 'class': names[row['label']], 'distributions': {
            name: [round(float(value), 6) for value in values]
            for name, values in row['distributions'].items()}} for row in rows]
            for what, rows in (('image_distributions', images), ('class_distributions', classes))}))
    write_csv(folder / 'distributions.csv', found, images, classes, args.topk)
    text = mass_table(found, [row['label'] for row in classes], args.of)
    files.write_text(folder / 'distributions.md', text)
    return text


def write_csv(path: Path, found: Predictions, images: list[dict], classes: list[dict],
              topk: int | None) -> None:
    """Write the bars of both pictures, one a row."""
    from mmips.visualization.distributions import top_bars
    lines = []
    for row in [*images, *classes]:
        number = topk or (5 if 'image' in row else 10)
        what = f'image {row["image"]}' if 'image' in row else f'{row["images"]} images'
        label = row['label']
        for name, values in row['distributions'].items():
            bars = top_bars(values, number, label, found.near[label], found.classes)
            lines += [[what, found.classes[label], name, rank, *bar[:2], f'{100 * bar[2]:.4f}']
                      for rank, bar in enumerate(zip(bars.classes, bars.kinds, bars.values), 1)]
    files.write_csv(path, ['of', 'true class', 'checkpoint', 'rank', 'class', 'kind', 'percent'],
                    lines)


def load_pictures(cfg: Any, model: Any, loader: Any, chosen: Sequence[int], split: str) -> Any:
    """The chosen images as the network sees them, (N, H, W, 3) uint8 RGB."""
    import torch

    from mmips.config.colours import network_order
    from mmips.visualization import denormalize
    preprocessor = model.data_preprocessor
    with torch.no_grad():
        inputs = [preprocessor(loader.collate_fn([loader.dataset[place]]), False)['inputs']
                  for place in chosen]
    bgr = network_order(cfg, split) == 'bgr'
    return [denormalize(one, preprocessor, bgr)[0] for one in inputs]


def draw(found: Predictions, images: list[dict], classes: list[dict], pictures: Sequence[Any],
         what: str, args: argparse.Namespace) -> list[str]:
    """Draw both pictures; returns their paths."""
    from mmips.visualization.distributions import (
        DistributionRow,
        draw_distributions,
        top_bars,
    )

    def to_row(row: dict, number: int, caption: str, image: Any = None) -> Any:
        label = row['label']
        return DistributionRow(caption, [
            top_bars(values, args.topk or number, label, found.near[label], found.classes,
                     make_note(values, label, found))
            for values in row['distributions'].values()], image)

    names, near = list(found.probs), 'its superclass' if found.superclasses else ''
    drawn = [to_row(row, 5, f'{row["image"]}: {make_caption(row["label"], found)}', picture)
             for row, picture in zip(images, pictures)]
    means = [to_row(row, 10, f'{make_caption(row["label"], found)}, {row["images"]} images')
             for row in classes]
    return [draw_distributions(drawn, names, str(Path(args.out) / 'distribution_images.png'),
                               f'Predictive distributions, {what}', near),
            draw_distributions(means, names, str(Path(args.out) / 'distribution_classes.png'),
                               f'{WHAT[args.of].capitalize()}, {what}', near)]


def predict(model: Any, loader: Any, args: argparse.Namespace) -> Predictions:
    """Run all checkpoints over the split."""
    probs: dict[str, Any] = {}
    for name in predictions.each_checkpoint(model, args.checkpoints, args.names):
        probs[name], labels = predictions.predict_probs(model, loader, name)
    number = probs[args.names[0]].shape[1]
    known = predictions.class_names(loader, number)[:number]
    # The model may have more classes than the data set names.
    classes = [*known, *(f'class {k}' for k in range(len(known), number))]
    return Predictions(probs, labels, classes, image_numbers(loader))


@cli.readable_failures
def main(argv: Sequence[str] | None = None) -> Predictions:
    """Draw, and return the predictions."""
    args = parse_args(argv)
    cfg = predictions.load_classifier_config(args)
    model = predictions.build_model(cfg, args.device)
    loader = loaders.build_loader(cfg, args.split, args.max_images)
    known = predictions.class_names(loader, getattr(model.head, 'num_classes', 0))
    chosen, wanted = find_images(loader, args), find_classes(args.class_names, known)
    found = predict(model, loader, args)
    missing = [label for label in wanted if label not in found.labels]
    if missing:
        raise ValueError(f'--class: none of the {len(found.labels)} images is of the class '
                         f'{known[missing[0]]!r}.')
    chosen = chosen or pick_images(found, args)
    images = image_rows(found, chosen)
    wanted = wanted or list(dict.fromkeys(row['label'] for row in images))
    classes = class_rows(found, wanted, args.of)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    setup = dict(config=args.config, split=args.split, images=len(found.labels), of=args.of,
                 checkpoints=dict(zip(args.names, args.checkpoints)))
    print(write(found, images, classes, setup, args))
    pictures = load_pictures(cfg, model, loader, chosen, args.split)
    what = f'{Path(args.config).stem}, {args.split} images'
    print('\n'.join([*draw(found, images, classes, pictures, what, args),
                     f'{Path(args.out) / "distributions.json"}, .csv, .md: '
                     f'{len(found.labels)} images']))
    return found


if __name__ == '__main__':
    main()
