# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from torch import Tensor, nn

from mmips.functional import pair_kl
from mmips.functional.pair_kl import check_options
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class PairKLLoss(nn.Module):
    """KL between the two predictions of a pair, see :func:`mmips.functional.pair_kl`.

    Args:
        temperature (float): T that divides the logits. Default: 4 (IPS; inferred).
        scale_by_t2 (bool): Multiply by T^2. Default: True.
        detach (str): Side without gradient, 'none' (IPS), 'query' or 'partner'.
        symmetric (bool): Both directions, halved (IPS; inferred), or only KL(partner || query).
        activation (str): 'softmax' (IPS), or 'sigmoid' for heads trained by binary cross entropy.

    Raises:
        ValueError: For a temperature that is not positive, an unknown ``detach`` or ``activation``.
    """

    def __init__(self, temperature: float = 4.0, scale_by_t2: bool = True, detach: str = 'none',
                 symmetric: bool = True, activation: str = 'softmax') -> None:
        super().__init__()
        check_options(temperature, detach, activation)
        self.temperature = temperature
        self.scale_by_t2 = scale_by_t2
        self.detach = detach
        self.symmetric = symmetric
        self.activation = activation

    def forward(self, step: Step) -> Tensor:
        """Mean divergence over the pairs of one label, a scalar."""
        return pair_kl(*step.pairs, self.temperature, self.scale_by_t2, self.detach,
                       self.symmetric, step.matched, self.activation)
