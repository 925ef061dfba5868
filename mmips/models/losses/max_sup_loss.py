# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from torch import Tensor, nn

from mmips.functional.precision import at_least_float32
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class MaxSupLoss(nn.Module):
    r"""MaxSup's term: the highest logit above the mean (Zhou et al., arXiv 2502.15798).

    :math:`\lambda_t (\max_c z_c - \mathrm{mean}_c z_c)`, the batch's mean, to stand beside CE
    (``gamma=1``, ``alpha=1``). Label smoothing is the same with the label's logit in the place of
    the highest, which punishes most where the network errs. As in the authors' code lambda rises
    from ``start`` by (``end`` - ``start``) t / E in epoch t of E, from 0.

    Args:
        start (float): Lambda of the first epoch. Default: 0.1 (the authors').
        end (float): What it rises towards. Default: 0.2 (the authors').

    Raises:
        ValueError: If one of them is negative.
        UserError: Before training, for a run by iterations, unless both are equal.
    """

    def __init__(self, start: float = 0.1, end: float = 0.2) -> None:
        super().__init__()
        if start < 0 or end < 0:
            raise ValueError('start and end weigh a loss and cannot be negative, but got '
                             f'start={start}, end={end}.')
        self.start, self.end = start, end

    def forward(self, step: Step) -> Tensor:
        """The term of a batch, a scalar."""
        logits = at_least_float32(step.logits)
        weight = self.start + (self.end - self.start) * step.epoch / max(step.max_epochs, 1)
        return weight * (logits.amax(1) - logits.mean(1)).mean()
