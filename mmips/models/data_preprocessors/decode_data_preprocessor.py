# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import mmcv
import numpy as np
import torch
from mmengine.logging import MessageHub, print_log
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from mmips.datasets.files import LOOK, printable, reason
from mmips.errors import UserError
from mmips.functional import resized_crop
from mmips.models.batch_augments.rank_rng import RankRng
from mmips.registry import MODELS
from mmips.structures.encoded_batch import EncodedBatch

from .batch_data_preprocessor import BatchDataPreprocessor

#: Attempts of mmpretrain's ``RandomResizedCrop``.
_ATTEMPTS = 10
# What a GPU decodes at once: large photographs of a whole batch could fill it.
_AT_ONCE = 32


@MODELS.register_module()
class DecodeDataPreprocessor(BatchDataPreprocessor):
    """Decode, crop, flip, normalise and augment the files of ``mmips.EncodedImages``.

    Stands for ``LoadImageFromFile``, then in training ``RandomResizedCrop`` and ``RandomFlip``,
    in evaluation ``ResizeEdge`` and ``CenterCrop``, with mmpretrain's defaults, and for
    ``ClsDataPreprocessor``. At equal draws a pixel differs from theirs by at most one step of 256,
    by the rounding of the resize, where the decoders agree. A GPU decodes JPEG by nvJPEG, a CPU
    by libjpeg; the draws are repeatable, as those of ``mmips.BatchDataPreprocessor``.

    Batches of ``mmips.ImagesOnDevice`` are cut and flipped alike, in their own colour order.

    What no JPEG decoder takes as OpenCV does goes to OpenCV, as ``LoadImageFromFile`` has it:
    four channels, a turned camera, other formats. Those of training are counted in the log as
    ``decoded_by_opencv``, from the first on.

    Args:
        *args: As ``ClsDataPreprocessor``.
        scale (int): Height and width of a crop in training. Default: 224.
        crop_ratio_range (tuple[float, float]): Its share of the image. Default: (0.08, 1).
        aspect_ratio_range (tuple[float, float]): Its width by its height. Default: (3/4, 4/3).
        resize_edge (int): The shorter edge in evaluation. Default: 256.
        crop_size (int): Height and width of the centre crop in evaluation. Default: 224.
        flip_prob (float): Probability of a horizontal flip, in training. Default: 0.5.
        **kwargs: As ``mmips.BatchDataPreprocessor``.

    Raises:
        ValueError: For sizes and ranges that cannot be.
        UserError: For a file that OpenCV does not read either.
    """

    def __init__(self, *args: Any, scale: int = 224,
                 crop_ratio_range: tuple[float, float] = (0.08, 1.0),
                 aspect_ratio_range: tuple[float, float] = (3 / 4, 4 / 3),
                 resize_edge: int = 256, crop_size: int = 224, flip_prob: float = 0.5,
                 **kwargs: Any) -> None:
        super().__init__(*args, flip_prob=flip_prob, **kwargs)
        if scale < 1 or not 1 <= crop_size <= resize_edge:
            raise ValueError('scale and crop_size must be at least 1, and resize_edge no less than '
                             f'crop_size, but got scale={scale}, crop_size={crop_size}, '
                             f'resize_edge={resize_edge}.')
        for name, (low, high), most in (('crop_ratio_range', crop_ratio_range, 1.0),
                                        ('aspect_ratio_range', aspect_ratio_range, float('inf'))):
            if not 0 < low <= high <= most:
                raise ValueError(f'{name} must be (least, most) within 0 and {most}, but got '
                                 f'{(low, high)}.')
        self.scale, self.resize_edge, self.centre_crop = scale, resize_edge, crop_size
        self.crop_ratio_range, self.aspect_ratio_range = crop_ratio_range, aspect_ratio_range
        self._crop_rng = RankRng(stream='resized_crop')

    def make_images(self, data: dict, training: bool) -> Tensor:
        """Images of one size on the device, uint8 (N, C, H, W); of files BGR, as OpenCV's."""
        batch = data['inputs']
        encoded = isinstance(batch, EncodedBatch)
        images = (self._decode(batch, data['data_samples'].img_path, training) if encoded else
                  batch.to(self.device, non_blocking=True))
        if training:
            draws = self._crop_rng().random((batch.shape[0], _ATTEMPTS, 4))
            cut = torch.stack([self._random_crop(*pair) for pair in zip(images, draws)])
            cut = self._flip(cut)
        else:
            cut = torch.stack([resized_crop.centre_crop(resized_crop.resize_short_edge(
                image, self.resize_edge), self.centre_crop) for image in images])
        return cut.flip(1) if encoded else cut

    def _random_crop(self, image: Tensor, draws: Any) -> Tensor:
        height, width = image.shape[1:]
        top, left, tall, wide = resized_crop.random_box(
            height, width, draws, self.crop_ratio_range, self.aspect_ratio_range)
        return resized_crop.resize(image[:, top:top + tall, left:left + wide],
                                   self.scale, self.scale)

    def _decode(self, batch: EncodedBatch, paths: Sequence[str], training: bool
                ) -> Iterator[Tensor]:
        """Yield the images in RGB, uint8 (3, H, W) each of its own size, on the device."""
        entries = list(zip(batch.files(), batch.plain, paths))
        for start in range(0, len(entries), _AT_ONCE):
            some = entries[start:start + _AT_ONCE]
            decoded = self._decode_jpegs([file for file, plain, _ in some if plain])
            for file, plain, path in some:
                image = next(decoded) if plain else 'not an upright JPEG of one or three channels'
                if isinstance(image, str):
                    if training:
                        _count(path, why=image)
                    image = _decode_by_opencv(file, path, image).to(self.device)
                yield image

    def _decode_jpegs(self, files: list[Tensor]) -> Iterator[Tensor | str]:
        """Yield images on the device; in the place of what is refused the reason."""
        device = self.device if self.device.type == 'cuda' else torch.device('cpu')
        if device.type == 'cuda' and files:
            with contextlib.suppress(RuntimeError):  # because of one of them, or for all
                images = decode_jpeg(files, ImageReadMode.RGB, device)
                yield from images
                return
        for file in files:
            try:
                yield decode_jpeg(file, ImageReadMode.RGB, device).to(self.device)
            except RuntimeError as error:
                yield reason(error)


def _decode_by_opencv(file: Tensor, path: str, why: str) -> Tensor:
    """As ``LoadImageFromFile`` does, but RGB (3, H, W)."""
    try:
        image = mmcv.imfrombytes(file.numpy().tobytes(), backend='cv2')
    except Exception as error:  # OpenCV's own
        image, why = None, reason(error)
    if image is None:
        raise UserError(f'{printable(path)} cannot be decoded, by OpenCV neither ({why}): replace '
                        f'the file or leave it out ({LOOK}).')
    return torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1)


def _count(path: str, why: str) -> None:
    """Add one to what the log says; a checkpoint keeps it."""
    hub, name = MessageHub.get_current_instance(), 'train/decoded_by_opencv'
    if name not in hub.log_scalars:
        print_log(f'{printable(path)} is decoded by OpenCV, on the CPU: {why}. The log counts '
                  'such images as decoded_by_opencv.', 'current')
        hub.update_scalar(name, 0)
    hub.update_scalar(name, hub.get_scalar(name).current() + 1)
