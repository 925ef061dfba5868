# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Names and severities of the corruptions of Hendrycks and Dietterich.

https://arxiv.org/abs/1903.12261; Tables 10 and 11 of the IPS paper.
"""
from collections.abc import Sequence
from typing import Any

from mmips.errors import UserError, hint

#: All corruptions, also the names of CIFAR-100-C's files; the first 15 make up the mean
#: corruption error of Hendrycks and Dietterich, the last four are meant for validation.
CORRUPTIONS = ('gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur', 'glass_blur',
               'motion_blur', 'zoom_blur', 'snow', 'frost', 'fog', 'brightness', 'contrast',
               'elastic_transform', 'pixelate', 'jpeg_compression', 'speckle_noise',
               'gaussian_blur', 'spatter', 'saturate')
#: Groups by name. 'paper' are DB, GB, MB, GB, SN, FR, FO, BR, CO, ET of the IPS paper's Table 11:
#: the first GB is taken for glass blur, the second for zoom blur, in Hendrycks and Dietterich's
#: order; by its letters it could be gaussian_blur too.
PRESETS = {'paper': CORRUPTIONS[3:13], 'common': CORRUPTIONS[:15], 'all': CORRUPTIONS}
SEVERITIES = (1, 2, 3, 4, 5)


def check_corruption(name: Any, known: Sequence[str] = CORRUPTIONS) -> str:
    """Return a name that is known; else the nearest one is suggested."""
    if name not in known:
        raise UserError(f'There is no corruption {name!r}{hint(name, known)}. Known are '
                        f'{", ".join(known)}.')
    return name


def check_severity(severity: Any) -> int:
    """Return a severity, if it is one."""
    if isinstance(severity, bool) or severity not in SEVERITIES:
        raise UserError('A severity is an integer from 1 (mild) to 5 (strong), got '
                        f'{severity!r}.')
    return int(severity)


def expand_corruptions(names: Sequence[str]) -> tuple[str, ...]:
    """Corruptions by name, groups of :data:`PRESETS` spelled out, each once."""
    known = (*PRESETS, *CORRUPTIONS)
    found = [PRESETS.get(check_corruption(name, known), (name, )) for name in names]
    return tuple(dict.fromkeys(name for group in found for name in group))
