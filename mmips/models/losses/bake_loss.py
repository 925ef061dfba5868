# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmips.errors import UserError
from mmips.functional.pair_kl import check_options
from mmips.functional.precision import at_least_float32
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class BAKELoss(nn.Module):
    r"""Predictions that spread between similar images of a batch (BAKE: Ge et al., 2021).

    With P the softmax of the logits z / T, and W the similarity of the neck's features, normalised
    to length 1, as a softmax over each row without its diagonal, the targets are

    .. math:: Q = (1 - \omega) (I - \omega W)^{-1} P,

    which a walk would reach that goes on with probability :math:`\omega` at each image. The loss
    is :math:`T^2 KL(Q \| P)` averaged over the images, Q detached. Nothing else is asked of the
    batch; ``mmips.GroupedClassSampler`` puts images of one class into it. So does the authors'
    code; a third party's (Self-KD-Lib) takes another softmax of Q.

    Args:
        omega (float): Share of the other images, in [0, 1). Default: 0.5 (CIFAR-100).
        temperature (float): T. Default: 4.

    Raises:
        ValueError: For an ``omega`` out of range and a temperature that is not positive.
        UserError: For a batch of one image.
    """
    activation = 'softmax'

    def __init__(self, omega: float = 0.5, temperature: float = 4.0) -> None:
        super().__init__()
        check_options(temperature, 'none')
        if not 0 <= omega < 1:
            raise ValueError(f'omega must be in [0, 1), but got {omega}.')
        self.omega, self.temperature = omega, temperature

    def forward(self, step: Step) -> Tensor:
        """The scaled divergence, a scalar; logits (N, K), features (N, D)."""
        if len(step.logits) < 2:
            raise UserError('BAKELoss compares the images of a batch, but got a batch of one. Use '
                            'a batch_size that leaves no single image at the end of an epoch.')
        # Not in half precision: a system of equations is solved.
        with torch.autocast(step.logits.device.type, enabled=False):
            logits, features = (at_least_float32(part)
                                for part in (step.logits, step.features[-1].flatten(1)))
            log_p = F.log_softmax(logits / self.temperature, dim=1)
            goal = self._spread(log_p.detach().exp(), features.detach())
            return F.kl_div(log_p, goal, reduction='batchmean') * self.temperature**2

    def _spread(self, p: Tensor, features: Tensor) -> Tensor:
        unit = F.normalize(features, dim=1)
        alone = torch.eye(len(p), dtype=torch.bool, device=p.device)
        similar = (unit @ unit.T).masked_fill(alone, -torch.inf).softmax(1).to(p.dtype)
        # Rows of W add up to 1, so that the system has a solution, which need not be waited for.
        return torch.linalg.solve_ex(alone.to(p) - self.omega * similar, (1 - self.omega) * p)[0]
