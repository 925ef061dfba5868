"""Photographs in the kinds that data sets hold: smooth, since JPEG noise would hide errors."""
import io

import numpy as np
from PIL import Image

TURNED = Image.Exif()
TURNED[0x0112] = 6  # the camera was held upright
#: Kind -> mode of the image and options of Pillow; what JPEG decoders read alike comes first.
KINDS = {
    'plain': ('RGB', dict(format='JPEG', quality=95)),
    'progressive': ('RGB', dict(format='JPEG', quality=95, progressive=True)),
    'grey': ('L', dict(format='JPEG', quality=95)),
    'cmyk': ('CMYK', dict(format='JPEG', quality=95)),
    'turned': ('RGB', dict(format='JPEG', quality=95, exif=TURNED)),
    'deep': ('I;16', dict(format='PNG')),
    'webp': ('RGB', dict(format='WEBP', lossless=True)),
}
ODD = list(KINDS)[3:]


def picture(number=0, width=130, height=97):
    """A smooth picture, uint8 RGB (H, W, 3)."""
    y, x = np.mgrid[:height, :width].astype(float)
    x, y = x / width, y / height
    waves = [np.sin(6 * x + number), np.cos(4 * y - number), np.sin(3 * (x + y) + 2 * number)]
    return (127.5 + 120 * np.stack(waves, -1)).astype(np.uint8)


def encode(kind='plain', number=0, width=130, height=97):
    """The bytes of a file of that kind."""
    mode, options = KINDS[kind]
    image = picture(number, width, height)
    image = (Image.fromarray(image[..., 0].astype(np.uint16) * 257) if mode == 'I;16' else
             Image.fromarray(image).convert(mode))
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def write_tree(root, kinds=tuple(KINDS), classes=2, width=130, height=97):
    """``root/<class>/<number>-<kind>.JPEG`` whatever it is; returns the paths, sorted."""
    paths = []
    for label in range(classes):
        for number, kind in enumerate(kinds):
            path = root / f'n{label:08d}' / f'{number}-{kind}.JPEG'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode(kind, 3 * label + number, width, height))
            paths.append(path)
    return paths


class GivenDraws:
    """What mmpretrain's ``RandomResizedCrop`` asks of ``numpy.random``, by (A, 4) draws."""

    def __init__(self, draws):
        self.attempts, self.left = iter(draws.tolist()), []

    def uniform(self, low, high):
        if len(self.left) in (0, 2):  # the last attempt did not fit, or there is none
            self.left = next(self.attempts)
        return low + (high - low) * self.left.pop(0)

    def randint(self, low, high):
        return low + int((high - low) * self.left.pop(0))

    def put(self, monkeypatch):
        monkeypatch.setattr(np.random, 'uniform', self.uniform)
        monkeypatch.setattr(np.random, 'randint', self.randint)
