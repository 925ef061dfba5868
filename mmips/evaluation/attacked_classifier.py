# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Attacks on the images as the data pipeline delivers them (resized, cropped, 0 to 255).

They go through the model's own data preprocessor, whose padding is no part of the image.
"""
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from mmips.errors import UserError
from mmips.evaluation.attack_settings import AttackSettings
from mmips.evaluation.predictions import check_labels
from mmips.functional.attacks import Bounds, fgsm, i_fgsm, pgd


class AttackedClassifier:
    """An mmpretrain classifier in evaluation mode, which does not change, and attacks on it.

    ``reverses`` says whether its data preprocessor reverses the colours.
    """

    def __init__(self, model: Any, settings: AttackSettings, reverses: bool = False) -> None:
        self.model, self.settings, self.reverses = model, settings, reverses

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, K) of images (N, C, H, W) as they are before the data preprocessor."""
        inputs = self.model.data_preprocessor({'inputs': images})['inputs']
        logits = self.model(inputs, mode='tensor')
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            raise UserError(f'{type(self.model.head).__name__} returns '
                            f'{getattr(logits, "shape", type(logits).__name__)}, but logits of '
                            'shape (images, classes) are needed for an attack.')
        return logits

    def read(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor, Bounds]:
        """A batch's images, float32 (N, C, H, W), labels, int64 (N, ), and range of the pixels."""
        sizes = {tuple(image.shape) for image in batch['inputs']}
        if len(sizes) > 1:
            raise UserError(f'The images of a batch have several sizes: {sorted(sizes)[:3]}. Add '
                            "a resize to the config's pipeline, or take --batch-size 1.")
        images = torch.stack(list(batch['inputs']))
        bounds = self.settings.image_range
        if bounds is None and images.dtype != torch.uint8:
            raise UserError(f'The images are {images.dtype}, whose range is not known: give '
                            '--image-range LOWEST HIGHEST, the values of black and white before '
                            'the data preprocessor. (A pipeline that normalises cannot be '
                            'attacked: leave that to the data_preprocessor.)')
        device = next(self.model.parameters()).device
        labels = [sample.gt_label for sample in batch['data_samples']]
        with torch.no_grad():
            check_labels(labels, self.logits(images[:1].to(device).float()).shape[1])
        return (images.to(device).float(), torch.cat(labels).to(device, torch.int64),
                bounds or (0., 255.))

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
        # The std is in the order after that.
        return std.flip(0) if self.reverses else std

    def attack(self, images: Tensor, labels: Tensor, bounds: Bounds, name: str, eps: float,
               generator: torch.Generator) -> Tensor:
        """Adversarial images for a radius; the generator draws PGD's starts."""
        unit = self.unit(images.shape[1], bounds)
        sizes = eps * unit, self.settings.step(eps) * unit, self.settings.steps, bounds
        moved = (fgsm(self.logits, images, labels, eps * unit, bounds) if name == 'fgsm' else
                 i_fgsm(self.logits, images, labels, *sizes) if name == 'i-fgsm' else
                 pgd(self.logits, images, labels, *sizes, generator))
        if not self.settings.quantize:
            return moved
        level = (bounds[1] - bounds[0]) / 255
        return ((moved - bounds[0]) / level).round() * level + bounds[0]

    def score(self, batches: Iterable[Mapping[str, Any]], name: str, eps: float) -> dict:
        """How many ``images`` of a loader there are, and how many ``correct`` and ``unmoved``."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        score = dict(eps=eps, images=0, correct=0, unmoved=0)
        for batch in batches:
            images, labels, bounds = self.read(batch)
            moved = self.attack(images, labels, bounds, name, eps, generator)
            with torch.no_grad():
                right = self.logits(moved).argmax(1) == labels
            score['images'] += len(images)
            score['correct'] += int(right.sum())
            score['unmoved'] += int((moved == images).flatten(1).all(1).sum())
        return score
