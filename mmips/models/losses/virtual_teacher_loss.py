# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmips.functional.precision import at_least_float32
from mmips.registry import MODELS
from mmips.structures import Step

SOFTEN, REDUCTION = ('logits', 'probabilities'), ('batchmean', 'mean')


@MODELS.register_module()
class VirtualTeacherLoss(nn.Module):
    r"""TF-KD's regularisation: KL to a teacher made by hand (Yuan et al., arXiv 1909.11723).

    The teacher u gives ``correct_prob`` to the label and shares the rest over the other classes.
    The term is :math:`m \, KL(u_T \| p)`; beside it stands (1 - alpha) CE, so write
    ``gamma=1 - alpha`` and ``alpha=alpha`` in the classifier.

    The defaults are the formula. The authors' code, from which the published numbers came, takes a
    softmax of the *probabilities* u / T (T = 20, 100 classes: 0.0105 for the label, 0.0100 for
    each other: almost uniform) and averages over images *and classes*, times m. So its alpha = 0.1,
    m = 100 for ResNet-18 on 100 classes weigh as the formula's alpha = 0.1, m = 1.

    Args:
        temperature (float): T, which softens u. Default: 20 (CIFAR-100 and ImageNet).
        correct_prob (float): The teacher's probability of the label. Default: 0.99.
        multiplier (float): m. Default: 1.
        soften (str): What T divides before the softmax: the 'logits' of u, which are log u
            (formula), or its 'probabilities' (the authors' code). Default: 'logits'.
        soften_student (bool): Divide the network's logits by T too. Default: False (the code).
        reduction (str): 'batchmean', summed over classes and averaged over images, or 'mean' over
            both (the authors' code). Default: 'batchmean'.

    Raises:
        ValueError: For values that cannot be.
    """
    activation = 'softmax'

    def __init__(self, temperature: float = 20.0, correct_prob: float = 0.99,
                 multiplier: float = 1.0, soften: str = 'logits', soften_student: bool = False,
                 reduction: str = 'batchmean') -> None:
        super().__init__()
        if not 0 < temperature < math.inf or not 0 < correct_prob < 1 or multiplier < 0:
            raise ValueError('Need a positive temperature, correct_prob between 0 and 1 and a '
                             f'multiplier of at least 0, but got temperature={temperature}, '
                             f'correct_prob={correct_prob}, multiplier={multiplier}.')
        if soften not in SOFTEN or reduction not in REDUCTION:
            raise ValueError(f'soften must be one of {SOFTEN} and reduction of {REDUCTION}, but '
                             f'got soften={soften!r}, reduction={reduction!r}.')
        self.temperature, self.correct_prob, self.multiplier = temperature, correct_prob, multiplier
        self.soften, self.soften_student, self.reduction = soften, soften_student, reduction

    def forward(self, step: Step) -> Tensor:
        """The term of a batch, a scalar; the labels alone say what the teacher gives."""
        logits = at_least_float32(step.logits)
        log_u = F.log_softmax(self.teacher(logits, step.labels), dim=1)
        log_p = F.log_softmax(logits / (self.temperature if self.soften_student else 1), dim=1)
        kl = (log_u.exp() * (log_u - log_p)).sum(1)
        return self.multiplier * kl.mean() / (logits.shape[1] if self.reduction == 'mean' else 1)

    def teacher(self, like: Tensor, labels: Tensor) -> Tensor:
        """What the softmax is taken of, for labels (N,): (N, C), of shape and type of ``like``."""
        u = torch.full_like(like, (1 - self.correct_prob) / max(like.shape[1] - 1, 1))
        u.scatter_(1, labels[:, None], self.correct_prob)
        return (u.log() if self.soften == 'logits' else u) / self.temperature
