# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

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

    Stands for ``RandomCrop(size, padding=crop_padding)``, ``RandomFlip(flip_prob)`` and
    mmpretrain's ``ClsDataPreprocessor`` (equal to them bit for bit at equal draws), without a
    Python step an image and without a wait for the device. The draws follow torch's seed and the
    rank, as the patch swap's do, so that ``mmips.EpochSeedHook`` makes them repeatable. Any
    other batch goes through ``ClsDataPreprocessor``, neither cropped nor flipped.

    Args:
        *args: As ``ClsDataPreprocessor``.
        crop_padding (int): Zeros around an image before it is cut back to its size, in
            training. Default: 0, no crop.
        flip_prob (float): Probability of a horizontal flip, in training. Default: 0.
        **kwargs: As ``ClsDataPreprocessor``.

    Raises:
        ValueError: For a negative padding or a probability outside [0, 1].
    """

    def __init__(self, *args: Any, crop_padding: int = 0, flip_prob: float = 0.0,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if crop_padding < 0 or not 0 <= flip_prob <= 1:
            raise ValueError('crop_padding must be at least 0 and flip_prob in [0, 1], but got '
                             f'crop_padding={crop_padding}, flip_prob={flip_prob}.')
        self.crop_padding, self.flip_prob = crop_padding, flip_prob
        self._rng = RankRng(stream='crop_flip')

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make the network's input.

        Args:
            data (dict): ``inputs``, uint8 (N, C, H, W), and ``data_samples``.
            training (bool): Whether to crop, flip and augment. Default: False.

        Returns:
            dict: ``inputs``, float32, and ``data_samples``, with scores if there are augments.
        """
        samples = data['data_samples']
        if not isinstance(samples, BatchSamples):
            return super().forward(data, training)
        inputs = self.make_images(data, training)
        # An ordinary batch without samples, which is what the parent normalises as a whole.
        inputs = super().forward(dict(inputs=inputs))['inputs']
        label, score = samples.gt_label.to(self.device, non_blocking=True), None
        if self.to_onehot:
            score = inputs.new_zeros(len(label), self.num_classes).scatter_(1, label[:, None], 1)
            if training and self.batch_augments is not None:
                inputs, score = self.batch_augments(inputs, score)
        return dict(inputs=inputs, data_samples=BatchSamples(
            label, samples.sample_idx, score, samples.img_path))

    def make_images(self, data: dict, training: bool) -> Tensor:
        """Images of one size on the device, uint8 (N, C, H, W)."""
        inputs = data['inputs'].to(self.device, non_blocking=True)
        return self._crop_flip(inputs) if training else inputs

    def _crop_flip(self, images: Tensor) -> Tensor:
        if not (self.crop_padding or self.flip_prob):
            return images
        rng = self._rng()
        draws = rng.integers(0, 2 * self.crop_padding + 1, (len(images), 3))
        draws[:, 2] = rng.random(len(images)) < self.flip_prob
        # One copy for all draws.
        drawn = torch.from_numpy(draws).to(images.device, non_blocking=True)
        flip = drawn[:, 2].bool()
        if not self.crop_padding:  # the same, sooner
            return torch.where(flip[:, None, None, None], images.flip(3), images)
        return crop_flip(images, drawn[:, :2], flip, self.crop_padding)
