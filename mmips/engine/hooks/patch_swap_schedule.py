# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from mmengine.runner import IterBasedTrainLoop, Runner

from mmips.errors import UserError
from mmips.models.batch_augments import find_patch_swaps
from mmips.registry import HOOKS

from .monitor import ModelHook


@HOOKS.register_module()
class PatchSwapSchedule(ModelHook):
    """Raise (or lower) the swap probability p_r step by step: the progressive rows of IPS.

    The defaults are the paper's schedule, boundaries at epochs 30, 80 and 120 of 240, as fractions
    of the run, so that it scales with ``max_epochs``. Its ends, 0.1 and 0.5, are stated; 0.2 and
    0.3 between them are a guess. It depends on the position in the run alone, as resuming needs.

    Args:
        milestones (Sequence[int | float]): Increasing boundaries: integers are epochs (or
            iterations), numbers between 0 and 1 fractions of the run.
        values (Sequence[float]): The probability before, between and after them, one more
            than milestones.
        by_epoch (bool): Count epochs, else iterations. Default: True.

    Raises:
        ValueError: For milestones that do not increase or values that do not fit them; at the
            start of training for a model without ``mmips.IntraClassPatchSwap``, and for
            epochs in an iteration-based run.
    """

    def __init__(self,
                 milestones: Sequence[int | float] = (30 / 240, 80 / 240, 120 / 240),
                 values: Sequence[float] = (0.1, 0.2, 0.3, 0.5),
                 by_epoch: bool = True) -> None:
        if len(values) != len(milestones) + 1 or any(not 0 <= value <= 1 for value in values):
            raise ValueError('values are probabilities in [0, 1], one more than milestones, but '
                             f'got {list(values)} for {len(milestones)} milestones.')
        if any(m <= 0 or (isinstance(m, float) and m >= 1) for m in milestones):
            raise ValueError('milestones are positive integers, or fractions of the run between '
                             f'0 and 1, but got {list(milestones)}.')
        self.milestones = list(milestones)
        self.values = list(values)
        self.by_epoch = by_epoch

    def before_train(self, runner: Runner) -> None:
        """Find the augments and turn fractions into epochs or iterations."""
        self._swaps = find_patch_swaps(runner.model)
        if not self._swaps:
            raise UserError('PatchSwapSchedule found no mmips.IntraClassPatchSwap to schedule: '
                            "add train_cfg=dict(augments=[dict(type='mmips.IntraClassPatchSwap')])"
                            ' to the model, or remove the hook.')
        if self.by_epoch and isinstance(getattr(runner, 'train_loop', None), IterBasedTrainLoop):
            raise UserError('PatchSwapSchedule(by_epoch=True) counts epochs, and this run is '
                            'iteration-based: write by_epoch=False.')
        length = runner.max_epochs if self.by_epoch else runner.max_iters
        # The nearest whole epoch, so that 30/240 of 240 is epoch 30 whatever floats say.
        self._borders = [round(m * length) if isinstance(m, float) else m for m in self.milestones]
        # Equal borders are fine: in a run of few epochs a step has no room and is left out.
        if self._borders != sorted(self._borders):
            unit = 'epochs' if self.by_epoch else 'iterations'
            raise UserError(f'milestones must increase, but {self.milestones} of {length} {unit} '
                            f'gives {self._borders}.')

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Set the probability of this epoch or iteration."""
        position = runner.epoch if self.by_epoch else runner.iter
        prob = self.values[bisect_right(self._borders, position)]
        if any(swap.prob != prob for swap in self._swaps):
            for swap in self._swaps:
                swap.prob = prob
            runner.logger.info(f'Patch swap probability is {prob} from '
                               f'{"epoch" if self.by_epoch else "iteration"} {position} on.')
