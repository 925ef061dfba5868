# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
from mmcv.cnn import DepthwiseSeparableConvModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmips.errors import UserError
from mmips.functional import pair_kl
from mmips.functional.pair_kl import check_options
from mmips.models.memory import Memory
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class LightSKDLoss(Memory):
    r"""Guidance by a shallow exit, and by the shape of the last batch's logits (DRG and DSR).

    LightSKD (Xu et al., arXiv 2305.09183): an exit after the second stage gives logits a, and with
    :math:`p_T` the softmax at temperature T, s the sorted logits, s' those of the batch before,
    row by row, and ``sg`` no gradient,

    .. math:: CE(a, y) + \alpha T^2 KL(\mathrm{sg}\, p_T(a) \| p_T(z))
              + \beta T^2 KL(p_T(s') \| p_T(s)),

    averaged over the images. The exit is two separable convolutions of stride 2 (the authors'
    has an attention module before and twice as many), mean and linear layer; it is trained with
    the network and dropped when the backbone is published. The authors forget the last batch at
    the end of an epoch; here it teaches the first one of the next. Needs ``mmips.MemoryHook`` and
    ``model.backbone.out_indices=(0, 1, 2, 3)``.

    Args:
        in_channels (int): Channels of the second stage's map.
        num_classes (int): Of the exit.
        guidance_weight (float): alpha, of the exit (DRG). Default: 0.2.
        shape_weight (float): beta, of the last batch (DSR). Default: 1.
        temperature (float): T. Default: 4.

    Raises:
        ValueError: For negative weights and a temperature that is not positive.
        UserError: In the first step, for a backbone that does not give four maps, the second of
            ``in_channels``.
    """
    activation = 'softmax'
    shared = False
    sorted_logits: Tensor
    count: Tensor

    def __init__(self, in_channels: int, num_classes: int, guidance_weight: float = 0.2,
                 shape_weight: float = 1.0, temperature: float = 4.0) -> None:
        super().__init__()
        check_options(temperature, 'none')
        if guidance_weight < 0 or shape_weight < 0:
            raise ValueError('guidance_weight and shape_weight cannot be negative, but got '
                             f'guidance_weight={guidance_weight}, shape_weight={shape_weight}.')
        self.in_channels, self.temperature = in_channels, temperature
        self.guidance_weight, self.shape_weight = guidance_weight, shape_weight
        self.exit = nn.Sequential(*(DepthwiseSeparableConvModule(
            width, 2 * width, 3, stride=2, padding=1, norm_cfg=dict(type='BN'))
            for width in (in_channels, 2 * in_channels)), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4 * in_channels, num_classes))

    def plan(self, num_images: int, num_classes: int, batch_size: int) -> dict[str, Tensor]:
        """The last batch's sorted logits (N, K), and how many rows of them there are."""
        return dict(sorted_logits=torch.empty(batch_size, num_classes, device='meta'),
                    count=torch.empty((), dtype=torch.int64, device='meta'))

    def forward(self, step: Step) -> Tensor:
        """The weighted sum, a scalar."""
        shapes = [tuple(each.shape[1:]) for each in step.maps]
        if len(shapes) != 4 or shapes[1][0] != self.in_channels:
            raise UserError(
                'LightSKDLoss has an exit after the second of four stages, with '
                f'in_channels={self.in_channels}, but the backbone gives maps of {shapes}. Write '
                'model.backbone.out_indices=(0, 1, 2, 3), and distill.in_channels to fit.')
        num = len(step.logits)
        aux = self.exit(step.maps[1])
        known = torch.arange(num, device=aux.device) < self.count
        guidance = pair_kl(step.logits, aux, self.temperature, detach='partner', symmetric=False)
        shape = pair_kl(step.logits.sort(1).values, self.sorted_logits[:num], self.temperature,
                        symmetric=False, valid=known)
        return (F.cross_entropy(aux, step.target) + self.guidance_weight * guidance
                + self.shape_weight * shape)

    def update(self, step: Step) -> None:
        """Remember the batch."""
        num = len(step.logits)
        self.sorted_logits[:num] = step.logits.detach().sort(1).values.to(
            self.sorted_logits.dtype)
        self.count.fill_(num)
