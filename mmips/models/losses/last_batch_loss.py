# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import torch
from torch import Tensor

from mmips.errors import UserError
from mmips.functional import pair_kl
from mmips.functional.pair_kl import check_options
from mmips.models.memory import Memory
from mmips.registry import MODELS
from mmips.structures import Step, split_pairs


@MODELS.register_module()
class LastBatchLoss(Memory):
    r"""What the step before has predicted for the images that are shown again (DLB).

    Shen et al., "Self-Distillation from the Last Mini-Batch for Consistency Regularization",
    CVPR 2022: :math:`T^2 KL(\mathrm{softmax}(z' / T) \| \mathrm{softmax}(z / T))` averaged over the
    images, where :math:`z` are the logits of the partners and :math:`z'` what the network gave
    for them one step ago, when ``mmips.OverlappingBatchSampler`` made them queries. Both are told
    by their ``sample_idx``; what was not there one step ago stays out, as all does in the very
    first step. Needs ``mmips.MemoryHook``, and in ``mmips.SelfDistillClassifier``
    ``joint_forward=False`` (each half has its own batch norm statistics) and
    ``allow_mismatch=True``. The authors' code leaves T and the weight to its user; 3 and 1 are a
    third party's.

    Args:
        temperature (float): T. Default: 3.
        scale_by_t2 (bool): Multiply by T^2. Default: True.

    Raises:
        ValueError: For a temperature that is not positive.
        UserError: In the second step, if its partners are others than the queries of the first.
    """
    activation = 'softmax'
    shared = False
    logits: Tensor
    numbers: Tensor

    def __init__(self, temperature: float = 3.0, scale_by_t2: bool = True) -> None:
        super().__init__()
        check_options(temperature, 'none')
        self.temperature, self.scale_by_t2 = temperature, scale_by_t2
        self._steps = 0

    def plan(self, num_images: int, num_classes: int, batch_size: int) -> dict[str, Tensor]:
        """The last queries' logits (n, K), and their numbers (n,) from 1: 0 is nobody."""
        new = batch_size // 2
        return dict(logits=torch.empty(new, num_classes, device='meta'),
                    numbers=torch.empty(new, dtype=torch.int64, device='meta'))

    def forward(self, step: Step) -> Tensor:
        """The scaled divergence, a scalar; 0 in the first step."""
        now = step.pairs[1]
        if len(now) > len(self.numbers):
            raise UserError(f'LastBatchLoss remembers {len(self.numbers)} images, but got '
                            f'{len(now)} pairs. Use one batch_size.')
        again = split_pairs(self.images(step))[1] + 1
        known = self.numbers[:len(now)] == again
        if self._steps == 1:
            # The one place that waits for the device, once a run.
            self._check(known)
        self._steps += self.training
        return pair_kl(now, self.logits[:len(now)], self.temperature, self.scale_by_t2,
                       symmetric=False, valid=known)

    @torch.compiler.disable
    def _check(self, known: Tensor) -> None:
        if not known.all():
            raise UserError(
                f'{int((~known).sum())} of {len(known)} partners were no queries of the step '
                "before. Use sampler=dict(type='mmips.OverlappingBatchSampler', batch_size=...) "
                "with the data loader's batch_size.")

    def update(self, step: Step) -> None:
        """Remember the queries."""
        new = step.pairs[0].detach()
        self.numbers.zero_()
        self.logits[:len(new)] = new.to(self.logits.dtype)
        self.numbers[:len(new)] = split_pairs(self.images(step))[0] + 1
