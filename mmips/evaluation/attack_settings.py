# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What can be asked of attacks."""
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmips.errors import UserError

ATTACKS = {'fgsm': 'FGSM', 'i-fgsm': 'I-FGSM', 'pgd': 'PGD'}
#: Units of eps.
SPACES = {'pixel': 'the image range 0 to 1',
          'normalized': "the network's normalised input, the same for all channels"}


@dataclass(frozen=True)
class AttackSettings:
    """What all attacks of an evaluation share: options of ``eval_attacks.py``."""

    #: Unit of eps: 'pixel', of which the image range has 1 (8/255 is eight grey levels), or
    #: 'normalized', of which a grey level has 1/std of its channel.
    space: str = 'pixel'
    steps: int = 10
    #: In the unit of eps, or as a share of eps. Without both the share is 2.5 / steps: from any
    #: point of the ball any other can be reached (Madry et al. 2018).
    step_size: float | None = None
    rel_step_size: float | None = None
    #: Of a pixel before the data preprocessor; None is 0 to 255 for uint8 images, others need it.
    image_range: tuple[float, float] | None = None
    quantize: bool = False
    #: The same random starts of PGD for every checkpoint and eps.
    seed: int = 0

    def step(self, eps: float) -> float:
        """Size of a step for some radius, in its unit."""
        if self.step_size is not None:
            return self.step_size
        return eps * (self.rel_step_size or 2.5 / self.steps)

    def check(self, radii: Sequence[float]) -> None:
        """Raise for settings and radii that make no sense."""
        for size in (self.step_size, self.rel_step_size):
            if size is not None and not 0 < size < math.inf:
                raise UserError(f'The step size must be a positive number, got {size:g}.')
        if self.image_range and not self.image_range[0] < self.image_range[1]:
            raise UserError('--image-range needs a lower and a higher value, got '
                            f'{self.image_range}.')
        most, limit = ((1, 'within 0 to 1 (eight grey levels are 8/255 = 0.0314)')
                       if self.space == 'pixel' else (math.inf, '0 or more'))
        for eps in radii:
            if not 0 <= eps <= most or eps == math.inf:
                raise UserError(f'eps in the {self.space} space must be {limit}, got {eps:g}.')

    def used(self, attack: str, eps: float) -> dict[str, Any]:
        """What of them the score of an attack depends on."""
        iterated = {} if attack == 'fgsm' else dict(steps=self.steps, step=self.step(eps))
        random = dict(seed=self.seed) if attack == 'pgd' else {}
        return dict(attack=attack, eps=eps, space=self.space, quantize=self.quantize,
                    image_range=self.image_range, **iterated, **random)
