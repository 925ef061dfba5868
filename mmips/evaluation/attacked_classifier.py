# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Attacks on the images as the data pipeline delivers them (resized, cropped, 0 to 255).

They go through the model's own data preprocessor: channel order, normalisation and padding are
those of every other evaluation, and padding, which is no part of the image, stays as it is.
"""
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmips.errors import UserError
from mmips.evaluation.attacks import AttackSettings
from mmips.evaluation.predictions import check_labels
from mmips.functional.attacks import Bounds, fgsm, i_fgsm, loss_gradient, pgd

__all__ = ['AttackedClassifier', 'score_attack']


class AttackedClassifier:
    """An mmpretrain classifier as a function from images to logits, and attacks on it.

    The model has to be in evaluation mode. Neither its parameters, their gradients nor its running
    statistics change.
    """

    def __init__(self, model: Any, settings: AttackSettings) -> None:
        self.model, self.settings = model, settings
        self.classes: int | None = None

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, C, H, W) as they are before the data preprocessor."""
        inputs = self.model.data_preprocessor({'inputs': images})['inputs']
        logits = self.model(inputs, mode='tensor')
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise UserError(f'{type(getattr(self.model, "head", self.model)).__name__} returns '
                            f'{shape}, but logits of shape (images, classes) are needed for an '
                            'attack.')
        if not torch.isfinite(logits).all():
            raise UserError('The network has NaN or infinite logits: it cannot be attacked. Have '
                            'its weights diverged?')
        return logits

    def read(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor, Bounds]:
        """A batch's images, float32 (N, C, H, W), labels, int64 (N, ), and range of the pixels."""
        inputs = batch['inputs']
        sizes = {tuple(image.shape) for image in inputs}
        if len(sizes) > 1:
            raise UserError(f'The images of a batch have several sizes: {sorted(sizes)[:3]}. Add '
                            "a resize to the config's pipeline, or take --batch-size 1.")
        images = inputs if isinstance(inputs, Tensor) else torch.stack(list(inputs))
        bounds = self.settings.image_range
        if bounds is None and images.dtype != torch.uint8:
            raise UserError(f'The images are {images.dtype}, whose range is not known: give '
                            '--image-range LOWEST HIGHEST, the values of black and white before '
                            'the data preprocessor. (A pipeline that normalises cannot be '
                            'attacked: leave that to the data_preprocessor.)')
        device = next(self.model.parameters()).device
        images = images.to(device).float()
        labels = [sample.gt_label for sample in batch['data_samples']]
        if self.classes is None:
            with torch.no_grad():
                self.classes = self.logits(images[:1]).shape[1]
        check_labels(labels, self.classes)
        return images, torch.cat(labels).to(device, torch.int64), bounds or (0., 255.)

    def unit(self, channels: int, bounds: Bounds) -> float | Tensor:
        """What an eps of 1 is in the images: a number, or one for each channel (C, 1, 1)."""
        if self.settings.space == 'pixel':
            return bounds[1] - bounds[0]
        preprocessor = self.model.data_preprocessor
        if not getattr(preprocessor, '_enable_normalize', False):
            return 1.
        std = preprocessor.std
        if len(std) not in (1, channels):
            raise UserError(f'The images have {channels} channels, but the data preprocessor a '
                            f'std of {len(std)}: choose --space pixel.')
        # The std is in the order after this; mmengine's own preprocessor says it otherwise.
        swaps = getattr(preprocessor, 'to_rgb', False) or getattr(
            preprocessor, '_channel_conversion', False)
        return std.flip(0) if swaps and channels == 3 else std

    def attack(self, images: Tensor, labels: Tensor, bounds: Bounds, name: str,
               radii: Mapping[float, torch.Generator]) -> Iterator[Tensor]:
        """Adversarial images for each radius in turn, whose generator draws PGD's starts."""
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
            if self.settings.quantize:
                level = (bounds[1] - bounds[0]) / 255
                moved = ((moved - bounds[0]) / level).round() * level + bounds[0]
            yield moved


def score_attack(model: Any, batches: Iterable[Mapping[str, Any]], name: str,
                 radii: Sequence[float], settings: AttackSettings) -> list[dict]:
    """For each radius ``eps``, how many ``images`` of a loader are ``correct`` and ``unmoved``.

    Raises a UserError for images, labels or a network that cannot be attacked.
    """
    classifier = AttackedClassifier(model, settings)
    generators = {eps: torch.Generator().manual_seed(settings.seed) for eps in radii}
    scores = [dict(eps=eps, images=0, correct=0, unmoved=0) for eps in radii]
    for batch in batches:
        images, labels, bounds = classifier.read(batch)
        moved = classifier.attack(images, labels, bounds, name, generators)
        for score, changed in zip(scores, moved):
            with torch.no_grad():
                right = classifier.logits(changed).argmax(1) == labels
            score['images'] += len(images)
            score['correct'] += int(right.sum())
            score['unmoved'] += int((changed == images).flatten(1).all(1).sum())
    return scores
