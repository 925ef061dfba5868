# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""A classifier under FGSM, I-FGSM and PGD: Tables 10 and 12 of the IPS paper.

Attacked are the images as the data pipeline delivers them (resized, cropped, 0 to 255),
through the model's own data preprocessor. So channel order, normalisation and padding are those
of every other evaluation, and padding, which is no part of the image, stays as it is.
"""
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmips.functional.attacks import Bounds, fgsm, i_fgsm, loss_gradient, pgd

__all__ = ['ATTACKS', 'SPACES', 'AttackScore', 'AttackSettings', 'AttackedClassifier',
           'score_attack']

#: Attacks by name, and what they are called in tables.
ATTACKS = {'fgsm': 'FGSM', 'i-fgsm': 'I-FGSM', 'pgd': 'PGD'}
#: Units of eps, see :class:`AttackSettings`.
SPACES = {'pixel': 'the image range 0 to 1',
          'normalized': "the network's normalised input, the same for all channels"}


@dataclass(frozen=True)
class AttackSettings:
    """What all attacks of an evaluation share.

    Args:
        space (str): The unit of eps. 'pixel': the image range counts 1, so 8/255 is eight grey
            levels. 'normalized': the units of the normalised input, so a grey level counts
            1/std of its channel. The paper does not say which it used. Either way the images
            stay within their range.
        steps (int): Steps of I-FGSM and PGD. Defaults to 10.
        step_size (float, optional): Size of these steps, absolute, in the unit of eps.
            Defaults to None: by ``rel_step_size``.
        rel_step_size (float, optional): Size of a step as a share of eps. Defaults to None:
            2.5 / steps, with which any point of the ball can be reached from any other
            (Madry et al. 2018).
        image_range (tuple[float, float], optional): Least and greatest value of a pixel before
            the data preprocessor. Defaults to None: 0 to 255 for uint8 images; others need it.
        quantize (bool): Round adversarial images to 256 levels, as a file would, after which
            a pixel may be half a level outside the ball. Defaults to False.
        seed (int): Of PGD's random starts, the same for every checkpoint and eps. Defaults to
            0.

    Raises:
        ValueError: For an unknown space, less than one step, or step sizes that are not positive
            or given twice.
    """
    space: str = 'pixel'
    steps: int = 10
    step_size: float | None = None
    rel_step_size: float | None = None
    image_range: Bounds | None = None
    quantize: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise ValueError(f'space must be one of {", ".join(SPACES)}, got {self.space!r}.')
        if self.steps < 1:
            raise ValueError(f'steps must be at least 1, got {self.steps}.')
        if self.step_size is not None and self.rel_step_size is not None:
            raise ValueError(f'Give step_size or rel_step_size, not both: got {self.step_size:g} '
                             f'and {self.rel_step_size:g}.')
        for size in (self.step_size, self.rel_step_size):
            if size is not None and not 0 < size < math.inf:
                raise ValueError(f'The step size must be a positive number, got {size:g}.')
        if self.image_range and not self.image_range[0] < self.image_range[1]:
            raise ValueError('image_range needs a lower and a higher value, got '
                             f'{self.image_range}.')

    def step(self, eps: float) -> float:
        """Size of a step for some radius, in its unit."""
        if self.step_size is not None:
            return self.step_size
        return eps * (self.rel_step_size or 2.5 / self.steps)

    def check(self, attacks: Sequence[str], radii: Sequence[float]) -> None:
        """Raise for attacks that are not known and radii that make no sense.

        Raises:
            ValueError: It names the value and what is possible.
        """
        for name in attacks:
            if name not in ATTACKS:
                raise ValueError(f'Unknown attack {name!r}: choose from {", ".join(ATTACKS)}.')
        most = 1 if self.space == 'pixel' else math.inf
        for eps in radii:
            if not 0 <= eps <= most or eps == math.inf:
                limit = ('0 or more' if most > 1 else
                         'within 0 to 1 (eight grey levels are 8/255 = 0.0314)')
                raise ValueError(f'eps in the {self.space} space must be {limit}, got {eps:g}.')


@dataclass(frozen=True)
class AttackScore:
    """How many images of a split an attack has left right.

    Args:
        eps (float): Radius of the attack, 0 for none.
        images (int): Number of images.
        correct (int): Of them, those classified as their label.
        unmoved (int): Images that the attack has not changed. Nearly always their gradient is
            exactly 0, as the loss of very sure predictions is 0 in floating point: they say
            nothing of robustness. Defaults to 0.
    """
    eps: float
    images: int
    correct: int
    unmoved: int = 0

    @property
    def accuracy(self) -> float:
        """In percent."""
        return 100 * self.correct / self.images


class AttackedClassifier:
    """An mmpretrain classifier as a function from images to logits, and attacks on it.

    Args:
        model (ImageClassifier): In evaluation mode. Neither its parameters, their gradients nor
            its running statistics change.
        settings (AttackSettings): What the attacks share.

    Raises:
        ValueError: For a model in training mode.
    """

    def __init__(self, model: Any, settings: AttackSettings) -> None:
        if any(module.training for module in model.modules()):
            raise ValueError('The model is in training mode, in which an attack would change its '
                             'running statistics: call model.eval() first.')
        self.model = model
        self.settings = settings

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, C, H, W) as they are before the data preprocessor.

        Raises:
            ValueError: If the head gives something else, or NaN.
        """
        inputs = self.model.data_preprocessor({'inputs': images})['inputs']
        logits = self.model(inputs, mode='tensor')
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            what = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ValueError(f'{type(getattr(self.model, "head", self.model)).__name__} returns '
                             f'{what}, but logits of shape (images, classes) are needed for an '
                             'attack.')
        if not torch.isfinite(logits).all():
            raise ValueError('The network has NaN or infinite logits: it cannot be attacked. Have '
                             'its weights diverged?')
        return logits

    def read(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor, Bounds]:
        """Images and labels of a loader's batch, on the model's device.

        Returns:
            tuple[Tensor, Tensor, tuple]: Images (N, C, H, W), float32; labels, int64 (N, ); the
            range of the pixels.

        Raises:
            ValueError: For images of several sizes or of an unknown range, and for samples with
                no label or several.
        """
        inputs = batch['inputs']
        sizes = {tuple(image.shape) for image in inputs}
        if len(sizes) > 1:
            raise ValueError(f'The images of a batch have several sizes: {sorted(sizes)[:3]}. Add '
                             "a resize to the config's pipeline, or take --batch-size 1.")
        images = inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs))
        bounds = self.settings.image_range
        if bounds is None and images.dtype != torch.uint8:
            raise ValueError(f'The images are {images.dtype}, whose range is not known: give '
                             '--image-range LOWEST HIGHEST, the values of black and white before '
                             'the data preprocessor. (A pipeline that normalises cannot be '
                             'attacked: leave that to the data_preprocessor.)')
        labels = [sample.gt_label for sample in batch['data_samples']]
        if any(label.numel() != 1 for label in labels):
            raise ValueError('Every image must have one label, but some have none or several: '
                             'only single-label classifiers are attacked here.')
        device = next(self.model.parameters()).device
        return (images.to(device).float(), torch.cat(labels).to(device, torch.int64),
                bounds or (0., 255.))

    def unit(self, channels: int, bounds: Bounds) -> float | Tensor:
        """What an eps of 1 is in the images: a number, or one for each channel (C, 1, 1).

        Raises:
            ValueError: If the normalisation makes several channels of one.
        """
        if self.settings.space == 'pixel':
            return bounds[1] - bounds[0]
        preprocessor = self.model.data_preprocessor
        if not getattr(preprocessor, '_enable_normalize', False):
            return 1.
        std = preprocessor.std
        if len(std) not in (1, channels):
            raise ValueError(f'The images have {channels} channels, but the data preprocessor a '
                             f'std of {len(std)}: choose --space pixel.')
        # The std is in the order after this; mmengine's own preprocessor says it otherwise.
        swaps = getattr(preprocessor, 'to_rgb', False) or getattr(
            preprocessor, '_channel_conversion', False)
        return std.flip(0) if swaps and channels == 3 else std

    def attack(self, images: Tensor, labels: Tensor, bounds: Bounds, name: str,
               radii: Mapping[float, torch.Generator]) -> Iterator[Tensor]:
        """Adversarial images for each radius.

        Args:
            images (Tensor): (N, C, H, W), floating point, as before the data preprocessor.
            labels (Tensor): True classes, int64 (N, ).
            bounds (tuple[float, float]): Range of the pixels.
            name (str): One of ``ATTACKS``.
            radii (Mapping[float, Generator]): Radii, each with what draws PGD's starts.

        Yields:
            Tensor: Images of the same shape and range, in the order of the radii.
        """
        unit = self.unit(images.shape[1], bounds)
        gradient = loss_gradient(self.logits, images, labels) if name == 'fgsm' else None
        for eps, generator in radii.items():
            if name == 'fgsm':
                # One gradient serves all radii.
                moved = fgsm(self.logits, images, labels, eps * unit, bounds, gradient)
            else:
                sizes = eps * unit, self.settings.step(eps) * unit, self.settings.steps, bounds
                moved = (pgd(self.logits, images, labels, *sizes, generator)
                         if name == 'pgd' else i_fgsm(self.logits, images, labels, *sizes))
            yield self._quantize(moved, bounds) if self.settings.quantize else moved

    @staticmethod
    def _quantize(images: Tensor, bounds: Bounds) -> Tensor:
        level = (bounds[1] - bounds[0]) / 255
        return ((images - bounds[0]) / level).round() * level + bounds[0]


def score_attack(model: Any, batches: Iterable[Mapping[str, Any]], name: str,
                 radii: Sequence[float], settings: AttackSettings) -> list[AttackScore]:
    """Accuracy under one attack, for several radii.

    Args:
        model (ImageClassifier): In evaluation mode.
        batches (Iterable[dict]): As a data loader yields them.
        name (str): One of ``ATTACKS``.
        radii (Sequence[float]): Different values of eps, in the unit of the settings.
        settings (AttackSettings): What the attacks share.

    Returns:
        list[AttackScore]: One for each radius.

    Raises:
        ValueError: For what does not fit, see :meth:`AttackSettings.check` and
            :class:`AttackedClassifier`; for labels outside the model's classes.
    """
    settings.check([name], radii)
    classifier = AttackedClassifier(model, settings)
    generators = {eps: torch.Generator().manual_seed(settings.seed) for eps in radii}
    counts = {eps: [0, 0, 0] for eps in radii}
    number = 0
    for batch in batches:
        images, labels, bounds = classifier.read(batch)
        if not number:
            with torch.no_grad():
                number = classifier.logits(images[:1]).shape[1]
        if labels.min() < 0 or labels.max() >= number:
            raise ValueError(f'The data has labels from {labels.min()} to {labels.max()}, but the '
                             f'model {number} classes. Is this the data the checkpoint was '
                             'trained for?')
        moved = classifier.attack(images, labels, bounds, name, generators)
        for count, changed in zip(counts.values(), moved):
            with torch.no_grad():
                right = classifier.logits(changed).argmax(1) == labels
            still = (changed == images).flatten(1).all(1)
            for place, part in enumerate((torch.ones_like(right), right, still)):
                count[place] += int(part.sum())
    return [AttackScore(eps, images, right, still if eps else 0)
            for eps, (images, right, still) in counts.items()]
