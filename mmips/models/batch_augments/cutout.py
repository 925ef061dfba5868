# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import numpy as np
import torch
from torch import Tensor

from mmips.registry import BATCH_AUGMENTS

from .rank_rng import RankRng


@BATCH_AUGMENTS.register_module()
class CutOut:
    """Blank one random square of every image (DeVries and Taylor, arXiv 1708.04552).

    The centre is uniform over the image and the square is cut at the border, as in the
    paper. **Writes into the batch it is given.** Inside ``mmips.PairwiseBatchAugment`` both
    images of a pair lose the same square.

    Args:
        length (int): Side of the square in pixels. Default: 8, the paper's for CIFAR-100.
        fill (float): Value written, after normalisation. Default: 0, the mean.
        seed (int, optional): Seed of the boxes. Default: None, torch's seed.

    Raises:
        ValueError: If ``length`` is not a positive integer.
    """

    def __init__(self, length: int = 8, fill: float = 0.0, seed: int | None = None) -> None:
        if type(length) is not int or length < 1:
            raise ValueError(f'length must be a positive number of pixels, but got {length!r}.')
        self.length = length
        self.fill = fill
        self._rng = RankRng(seed, stream='CutOut')

    @torch.compiler.disable
    @torch.no_grad()
    def __call__(self, batch_input: Tensor, batch_score: Tensor) -> tuple[Tensor, Tensor]:
        """Blank squares of images (N, C, H, W) in place; labels (N, K) become floats."""
        rng = self._rng()
        inside_y, inside_x = (
            self._inside(rng.integers(size, size=len(batch_input)), size, batch_input.device)
            for size in batch_input.shape[-2:])
        box = (inside_y[:, :, None] & inside_x[:, None, :])[:, None]
        return batch_input.masked_fill_(box, self.fill), batch_score.float()

    def _inside(self, centre: np.ndarray, size: int, device: torch.device) -> Tensor:
        start = torch.from_numpy(centre - self.length // 2).to(device, non_blocking=True)[:, None]
        pixel = torch.arange(size, device=device)
        return (pixel >= start) & (pixel < start + self.length)
