# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmips.errors import UserError
from mmips.functional.precision import at_least_float32
from mmips.functional.zipf import non_target_log_softmax, zipf_labels
from mmips.registry import MODELS
from mmips.structures import Step

RANKING = ('formula', 'code')


@MODELS.register_module()
class USKDLoss(nn.Module):
    r"""USKD: own soft labels for the label and for the rest (Yang et al., ICCV 2023).

    Three terms (arXiv 2303.13005), to stand beside CE. With the softmax s, of the label
    :math:`s_y`: (1) :math:`-[s_y^2 + 1 - \overline{s_y^2}] \log s_y`, the bracket without gradient
    and with the mean over the batch of this process; (2) cross entropy of the softmax over the
    classes beside the label with labels by Zipf's law, 1 / rank, where the classes are ranked by
    :math:`w / (1 - w_y) + s / (1 - s_y)`; (3) CE, with label smoothing 0.1 over all classes, of a
    linear weak head w on the pooled map of the last stage but one, which is trained with the
    network and dropped when it is published. ``backbone.out_indices`` has to have that stage.

    The authors' code, from which the published numbers came, ranks by
    :math:`w / (1 - w_y) + \log s / (1 - \log s_y)` and lets the label take a rank: 'code'.

    Args:
        in_channels (int): Channels of the last stage but one: 256 of a ResNet-18, 1,024 of a
            ResNet-50.
        num_classes (int): C.
        alpha (float): Weight of (1). Default: 1 (the authors' on ImageNet; 0.1 on CIFAR-100).
        beta (float): Weight of (2). Default: 0.1 (both).
        mu (float): Weight of (3). Default: 0.005 (ImageNet; 0.1 on CIFAR-100).
        ranking (str): 'formula' or 'code'. Default: 'formula'.

    Raises:
        ValueError: For negative weights or an unknown ranking.
        UserError: In the first step, for a backbone that does not give such a map.
    """
    activation = 'softmax'

    def __init__(self, in_channels: int, num_classes: int, alpha: float = 1.0, beta: float = 0.1,
                 mu: float = 0.005, ranking: str = 'formula') -> None:
        super().__init__()
        if min(alpha, beta, mu) < 0 or ranking not in RANKING:
            raise ValueError(f'alpha, beta and mu cannot be negative and ranking is one of '
                             f'{RANKING}, but got alpha={alpha}, beta={beta}, mu={mu}, '
                             f'ranking={ranking!r}.')
        self.alpha, self.beta, self.mu, self.ranking = alpha, beta, mu, ranking
        self.weak_head = nn.Linear(in_channels, num_classes)

    def forward(self, step: Step) -> Tensor:
        """The three terms of a batch, weighed, a scalar."""
        logits, labels = at_least_float32(step.logits), step.labels
        weak = self.weak_head(self._pooled(step)).to(logits.dtype)
        log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
        square = log_p.detach().exp()**2
        own = -((square + 1 - square.mean()) * log_p).mean()
        log_others = non_target_log_softmax(logits, labels)
        others = -(self._ranked(logits, weak, labels) * log_others).sum(1).mean()
        taught = F.cross_entropy(weak, labels, label_smoothing=0.1)
        return self.alpha * own + self.beta * others + self.mu * taught

    @torch.no_grad()
    def _ranked(self, logits: Tensor, weak: Tensor, labels: Tensor) -> Tensor:
        """The labels beside the label, (N, C)."""
        # p / (1 - p_y) also where p_y is all but 1.
        scores = non_target_log_softmax(weak, labels).exp()
        if self.ranking == 'formula':
            return zipf_labels(scores + non_target_log_softmax(logits, labels).exp(), labels)
        log_p = F.log_softmax(logits, dim=1)
        own = log_p.gather(1, labels[:, None])
        return zipf_labels(scores + log_p / (1 - own), labels, count_label=True)

    def _pooled(self, step: Step) -> Tensor:
        """Means over the map of the last stage but one, (N, in_channels)."""
        found = step.maps[-2] if len(step.maps) > 1 else None
        if not isinstance(found, Tensor) or found.ndim != 4:
            raise UserError(f'USKDLoss learns from the last stage but one, but the backbone gives '
                            f'{len(step.maps)} map(s): write backbone=dict(out_indices=(2, 3)), '
                            'of a VGG (3, 4).')
        if found.shape[1] != self.weak_head.in_features:
            raise UserError(f'USKDLoss(in_channels={self.weak_head.in_features}) does not fit the '
                            f'last stage but one: write in_channels={found.shape[1]}.')
        return found.mean((2, 3))
