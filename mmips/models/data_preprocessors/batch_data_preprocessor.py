# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

import numpy as np
import torch
from mmpretrain.models import ClsDataPreprocessor
from torch import Tensor

from mmips.functional.crop_flip import crop_flip
from mmips.models.batch_augments.rank_rng import RankRng
from mmips.registry import MODELS
from mmips.structures.batch_samples import BatchSamples


@MODELS.register_module()
class BatchDataPreprocessor(ClsDataPreprocessor):
    """Crop, flip, normalise and augment a whole batch of ``mmips.ImagesOnDevice`` at once.

    Stands for ``RandomCrop(crop_size, padding=crop_padding)``, ``RandomFlip(flip_prob)`` and
    mmpretrain's ``ClsDataPreprocessor`` (equal to them bit for bit at equal draws), without a
    Python step an image and without a wait for the device. The draws follow torch's seed and the
    rank, as the patch swap's do, so that ``mmips.EpochSeedHook`` makes them repeatable. Any
    other batch goes through ``ClsDataPreprocessor``, neither cropped nor flipped.

    Args:
        *args: As ``ClsDataPreprocessor``.
        crop_size (int, optional): Height and width of the crop, in training. Default: None, those
            of the images.
        crop_padding (int): Zeros around an image before it is cut, in training. Default: 0.
        flip_prob (float): Probability of a horizontal flip, in training. Default: 0.
        **kwargs: As ``ClsDataPreprocessor``.

    Raises:
        ValueError: For a negative padding, a probability outside [0, 1], and, with the first
            batch, a crop larger than the padded images.
    """

    def __init__(self, *args: Any, crop_size: int | None = None, crop_padding: int = 0,
                 flip_prob: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if crop_padding < 0 or not 0 <= flip_prob <= 1:
            raise ValueError('crop_padding must be at least 0 and flip_prob in [0, 1], but got '
                             f'crop_padding={crop_padding}, flip_prob={flip_prob}.')
        self.crop_size, self.crop_padding, self.flip_prob = crop_size, crop_padding, flip_prob
        self._rng = RankRng(stream='crop_flip')

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make the network's input.

        Args:
            data (dict): ``inputs``, uint8 (N, C, H, W), and ``data_samples``.
            training (bool): Whether to crop, flip and augment. Default: False.

        Returns:
            dict: ``inputs``, float32, channels last in memory, and ``data_samples``, with scores
            if there are augments.
        """
        samples = data.get('data_samples')
        if not isinstance(samples, BatchSamples):
            return super().forward(data, training)
        inputs = self._normalize(self.make_images(data, training))
        label, score = samples.gt_label.to(self.device, non_blocking=True), None
        if self.to_onehot:
            score = inputs.new_zeros(len(label), self.num_classes).scatter_(1, label[:, None], 1)
            if training and self.batch_augments is not None:
                inputs, score = self.batch_augments(inputs, score)
        # In this layout convolutions are up to half again as fast, on CPUs too.
        return dict(inputs=inputs.contiguous(memory_format=torch.channels_last),
                    data_samples=BatchSamples(label, samples.sample_idx, score, samples.img_path))

    def make_images(self, data: dict, training: bool) -> Tensor:
        """Images of one size on the device, uint8 (N, C, H, W)."""
        inputs = data['inputs'].to(self.device, non_blocking=True)
        return self._crop_flip(inputs) if training else inputs

    def _normalize(self, images: Tensor) -> Tensor:
        if self.pad_size_divisor > 1 or images.dtype != torch.uint8:
            # A batch without samples, which is what the parent normalises as a whole.
            return super().forward(dict(inputs=images))['inputs']
        if self.to_rgb and images.shape[1] == 3:
            images = images.flip(1)
        images = images.to(torch.float32, memory_format=torch.channels_last)
        if self._enable_normalize:
            # The parent's arithmetic in one piece of memory, with numbers that lie as the pixels
            # do: six times as fast on a CPU.
            mean, std = (torch.empty_like(images[:1]).copy_(each) for each in (self.mean, self.std))
            images.sub_(mean).div_(std)
        return images

    def _crop_flip(self, images: Tensor) -> Tensor:
        size = images.shape[2:] if self.crop_size is None else (self.crop_size, self.crop_size)
        room = [old + 2 * self.crop_padding - new for old, new in zip(images.shape[2:], size)]
        if min(room) < 0:
            raise ValueError(f'crop_size={self.crop_size} is larger than the images, '
                             f'{tuple(images.shape[2:])}, with crop_padding={self.crop_padding}.')
        if not any(room):
            return self._flip(images)
        mirrored = self._draw_mirrored(images)
        rng = self._rng()
        offsets = np.column_stack([rng.integers(0, most + 1, len(images)) for most in room])
        return crop_flip(images, torch.from_numpy(offsets).to(images.device, non_blocking=True),
                         mirrored, self.crop_padding, size)

    def _flip(self, images: Tensor) -> Tensor:
        if not self.flip_prob:
            return images
        mirrored = self._draw_mirrored(images)
        return images.index_copy(0, mirrored, images[mirrored].flip(3))

    def _draw_mirrored(self, images: Tensor) -> Tensor:
        """Numbers of the images to mirror; drawn on the host, which need not ask for them."""
        drawn = np.flatnonzero(self._rng().random(len(images)) < self.flip_prob)
        return torch.from_numpy(drawn).to(images.device, non_blocking=True)
