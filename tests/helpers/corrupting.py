"""Corrupted images, as the library itself makes them."""
import zlib

import imagecorruptions
import numpy as np


def corrupted(images, corruption, severity, seed=0):
    """What the library makes of uint8 RGB images, in a plain loop."""
    results = []
    for number, image in enumerate(images):
        entropy = [seed, zlib.crc32(corruption.encode()), severity, number]
        value = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        np.random.seed(value)
        options = dict(seed=value) if corruption == 'impulse_noise' else {}
        results.append(imagecorruptions.corrupt(image, severity, corruption, **options))
    return np.stack(results)
