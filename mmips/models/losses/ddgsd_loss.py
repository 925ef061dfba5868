# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from torch import Tensor, nn

from mmips.functional import pair_kl
from mmips.functional.pair_kl import check_options
from mmips.functional.precision import at_least_float32
from mmips.registry import MODELS
from mmips.structures import Step, split_pairs


@MODELS.register_module()
class DDGSDLoss(nn.Module):
    r"""Consistency of two views of an image (DDGSD: Xu and Liu, AAAI 2019).

    With :math:`p = \mathrm{softmax}(z / T)` and the neck's features :math:`f` of the two views,

    .. math:: \lambda T^2 [KL(p_1 \| p_2) + KL(p_2 \| p_1)] + \mu \|\bar f_1 - \bar f_2\|^2,

    divergences averaged over the images, the last term (MMD with a linear kernel) between the
    batch means of every dimension. The method's cross entropy is the sum over both views: beside
    this loss ``gamma=2`` in ``mmips.SelfDistillClassifier``. The pairs come from
    ``mmips.PairedClassSampler(partner='self')``.

    There is no code of the authors. What others publish differs: Self-KD-Lib detaches each
    divergence's target (``detach=True``), halves the cross entropy (``gamma=1``) and takes
    the mean over dimensions, too, before it squares; youngerous/ddgsd-pytorch compares logits.

    Args:
        kl_weight (float): lambda. Default: 1.
        mmd_weight (float): mu. Default: 5e-4.
        temperature (float): T. Default: 3.
        detach (bool): Whether each divergence moves its second side alone. Default: False.

    Raises:
        ValueError: For negative weights and a temperature that is not positive.
    """
    activation = 'softmax'

    def __init__(self, kl_weight: float = 1.0, mmd_weight: float = 5e-4, temperature: float = 3.0,
                 detach: bool = False) -> None:
        super().__init__()
        check_options(temperature, 'none')
        if kl_weight < 0 or mmd_weight < 0:
            raise ValueError('kl_weight and mmd_weight weigh losses and cannot be negative, but '
                             f'got kl_weight={kl_weight}, mmd_weight={mmd_weight}.')
        self.kl_weight, self.mmd_weight = kl_weight, mmd_weight
        self.temperature, self.detach = temperature, detach

    def forward(self, step: Step) -> Tensor:
        """The weighted sum, a scalar; logits (2P, K), features (2P, D)."""
        side = 'partner' if self.detach else 'none'
        first, second = step.pairs
        kl = sum(pair_kl(*views, self.temperature, detach=side, symmetric=False,
                         valid=step.matched) for views in ((first, second), (second, first)))
        # In float32 at least: the two means differ little.
        features = step.features[-1].flatten(1)
        features = at_least_float32(features)
        means = [view.mean(0) for view in split_pairs(features)]
        return self.kl_weight * kl + self.mmd_weight * (means[0] - means[1]).square().sum()
