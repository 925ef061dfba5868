# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from torch import Tensor, nn

from mmips.functional import pair_kl
from mmips.functional.pair_kl import check_options
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class KDLoss(nn.Module):
    r"""Knowledge distillation: :math:`T^2 KL(t \| p)` of softened predictions, mean over a batch.

    :math:`t` is the teacher's ``softmax(z / T)``, a constant, and :math:`p` the student's (Hinton
    et al., Distilling the Knowledge in a Neural Network, arXiv 1503.02531, Section 2). On
    CIFAR-100 it stands beside the cross entropy with weights of 0.9 and 0.1 (RepDistiller and
    mdistiller alike), on ImageNet with 0.5 and 0.5 and T = 1 (mdistiller).

    Args:
        temperature (float): T. Default: 4.
        scale_by_t2 (bool): Multiply by T^2. Default: True.

    Raises:
        ValueError: For a temperature that is not positive.
    """
    activation = 'softmax'

    def __init__(self, temperature: float = 4.0, scale_by_t2: bool = True) -> None:
        super().__init__()
        check_options(temperature, 'partner')
        self.temperature, self.scale_by_t2 = temperature, scale_by_t2

    def forward(self, step: Step) -> Tensor:
        """Of logits (N, K) of student and teacher, a scalar."""
        return pair_kl(step.logits, step.taught.logits, self.temperature, self.scale_by_t2,
                       detach='partner', symmetric=False)
