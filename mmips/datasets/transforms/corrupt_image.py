# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from __future__ import annotations

import functools
import inspect
import warnings
import zlib
from collections.abc import Callable

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmips.errors import UserError, check_choice
from mmips.functional.corruptions import check_corruption, check_severity
from mmips.registry import TRANSFORMS

# These draw from a generator of their own, which takes a seed; all others from NumPy's global one.
_SEEDED = ('glass_blur', 'impulse_noise')


@TRANSFORMS.register_module()
class CorruptImage(BaseTransform):
    """Corrupt an image by one of the 19 corruptions of Hendrycks and Dietterich.

    Corruptions and severities are those of ImageNet-C (https://arxiv.org/abs/1903.12261), made
    for 224 pixels, by the package imagecorruptions-imaug. CIFAR-10-C and CIFAR-100-C have milder
    severities: numbers are comparable only within one kind.

    Belongs behind the resizing and cropping of a test pipeline and before normalisation and
    packing, as ImageNet-C was made; in images enlarged later a blur harms less.

    An image's corruption depends on seed, corruption, severity and its ``sample_idx`` alone.
    NumPy's random state is left as it was. Changes ``img``, uint8 (H, W, 3), (H, W, 1) or (H, W),
    of at least 32 pixels a side.

    Args:
        corruption (str): A name of :data:`mmips.functional.corruptions.CORRUPTIONS`.
        severity (int): From 1 to 5.
        seed (int): At least 0. Defaults to 0.
        channel_order (str): 'rgb' or 'bgr', of the images that come: 'bgr' behind
            ``LoadImageFromFile``. Defaults to 'rgb'.

    Raises:
        UserError: Without a fitting imagecorruptions package, and for arguments and images that do
            not fit the above.
    """

    def __init__(self, corruption: str, severity: int, seed: int = 0,
                 channel_order: str = 'rgb') -> None:
        self.corruption = check_corruption(corruption)
        self.severity = check_severity(severity)
        if not isinstance(seed, int) or seed < 0:
            raise UserError(f'seed must be an integer of at least 0, got {seed!r}.')
        check_choice('channel_order', channel_order, ('rgb', 'bgr'))
        self.seed, self.channel_order = seed, channel_order
        # Its import takes seconds: here once, and not again in each forked worker process.
        load_library()

    def transform(self, results: dict) -> dict:
        """Corrupt ``results['img']``."""
        image, number = results['img'], results.get('sample_idx')
        fits = image.dtype == np.uint8 and image.shape[2:] in ((), (1, ), (3, ))
        if number is None or not fits or min(image.shape[:2]) < 32:
            raise UserError('CorruptImage needs sample_idx, as datasets of mmengine give it, and a '
                            'uint8 image (H, W), (H, W, 1) or (H, W, 3) of at least 32 pixels a '
                            f'side, got image {number}, {image.dtype} {image.shape}. Put it behind '
                            'a Resize to that size or more, before normalisation and packing.')
        # A checksum of the name: unlike its place in a list it cannot change.
        entropy = (self.seed, zlib.crc32(self.corruption.encode()), self.severity, int(number))
        results['img'] = self._corrupt(image, np.random.SeedSequence(entropy))
        return results

    def _corrupt(self, image: np.ndarray, entropy: np.random.SeedSequence) -> np.ndarray:
        grey = image.ndim == 2 or image.shape[-1] == 1
        step = 1 if grey or self.channel_order == 'rgb' else -1
        rgb = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if grey else image
        seed = int(entropy.generate_state(1)[0])
        options = {'seed': seed} if self.corruption in _SEEDED else {}
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            with np.errstate(invalid='raise'):
                rgb = load_library()(np.ascontiguousarray(rgb[..., ::step]), self.severity,
                                     self.corruption, **options)[..., ::step]
        except FloatingPointError:
            # No drop has hit the image, which happens to small ones (1 of 60 at 32 pixels and
            # severity 1). The library then divides 0 by 0 and returns black instead of clean.
            if self.corruption != 'spatter':
                raise
        finally:
            np.random.set_state(state)
        return (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).reshape(image.shape) if grey else
                np.array(rgb, order='C'))

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(corruption={self.corruption!r}, severity={self.severity}, '
                f'seed={self.seed}, channel_order={self.channel_order!r})')


@functools.lru_cache(1)
def load_library() -> Callable[..., np.ndarray]:
    """The library's function, if it is the one that can be seeded."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            from imagecorruptions import corrupt
            # The older package of this name cannot seed glass blur and impulse noise.
            inspect.signature(corrupt).parameters['kwargs']
        except (ImportError, KeyError) as error:
            raise UserError(
                f'Corruptions need imagecorruptions-imaug ({error!r}). Install it (part of the '
                'extra mmips[eval]), without another package of the same import name: pip '
                'uninstall -y imagecorruptions; pip install imagecorruptions-imaug') from error
    return corrupt
