# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmips.errors import UserError
from mmips.functional.precision import at_least_float32
from mmips.functional.zipf import non_target_log_softmax, zipf_labels
from mmips.registry import MODELS
from mmips.structures import Step


@MODELS.register_module()
class ZipfLoss(nn.Module):
    r"""Zipf's label smoothing: the other classes by the head's votes (Liang et al., ECCV 2022).

    The head classifies every location of the backbone's last map, each of which votes for one
    class (arXiv 2207.12980). The classes beside the label are ranked by their votes, classes of
    as many votes share the smallest rank, and get probabilities that fall as 1 / rank; the term is
    the KL from these to the softmax over the classes beside the label, to stand beside CE.

    The authors weigh it (``alpha`` of the classifier) by 0.1 on CIFAR-100 and ImageNet, and by 1
    on TinyImageNet and iNaturalist. Their auxiliary heads on earlier maps have no weight by
    default, and are not here. Needs a backbone whose last map has locations and a head after
    global average pooling: the same linear classifier then fits both.

    Args:
        upsample (int): Enlarge the map so many times, bilinearly, before the vote, for more votes
            where maps are small: the authors' 2 on CIFAR-100. Default: 1.

    Raises:
        ValueError: If ``upsample`` is not a positive integer.
        UserError: In the first step, for a network without such a map.
    """
    activation = 'softmax'

    def __init__(self, upsample: int = 1) -> None:
        super().__init__()
        if type(upsample) is not int or upsample < 1:
            raise ValueError(f'upsample must be a positive integer, but got {upsample!r}.')
        self.upsample = upsample

    def forward(self, step: Step) -> Tensor:
        """The term of a batch, a scalar; no gradient flows through the votes."""
        logits = at_least_float32(step.logits)
        target = zipf_labels(self.votes(step).to(logits.dtype), step.labels)
        log_p = non_target_log_softmax(logits, step.labels)
        return (torch.xlogy(target, target) - target * log_p).sum(1).mean()

    @torch.no_grad()
    def votes(self, step: Step) -> Tensor:
        """How many locations vote for each class, (N, C)."""
        last = step.maps[-1] if step.maps else None
        if not isinstance(last, Tensor) or last.ndim != 4 or step.classify is None:
            raise UserError('ZipfLoss lets the head classify every location of the last map '
                            f'(N, C, H, W) of the backbone, but got {_shape(last)}. Use a '
                            'convolutional network with GlobalAveragePooling and LinearClsHead.')
        if self.upsample > 1:
            last = F.interpolate(last, scale_factor=self.upsample, mode='bilinear')
        number, width = last.shape[:2]
        said = step.classify(last.flatten(2).transpose(1, 2).reshape(-1, width))
        chosen = said.argmax(1).view(number, -1)
        return torch.zeros_like(step.logits, dtype=torch.float32).scatter_add_(
            1, chosen, torch.ones_like(chosen, dtype=torch.float32))


def _shape(value: object) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
