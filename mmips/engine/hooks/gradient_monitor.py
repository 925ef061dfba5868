# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
import fnmatch
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from mmips.errors import UserError
from mmips.registry import HOOKS

from .monitor import Monitor, bare_model


@HOOKS.register_module()
class GradientMonitor(Monitor):
    """Log how large the gradients of the convolutions are: Figure 4 of IPS.

    Adds ``grad/<layer>`` to the training log, the mean absolute gradient of the weight of each
    convolution, averaged over the steps sampled since the last log line. For any model, so
    that self-distillation can be compared with a hard label; layers stand in the order in
    which the model defines them, which for ResNets and VGGs is that of the forward pass.
    The values go to all visualisation backends, but not to the console.
    ``tools/analysis_tools/plot_monitor.py`` draws them.

    The gradient is the one that the optimiser takes: averaged over ranks, summed over the
    parts of an accumulated batch, without the loss scale of mixed precision, after clipping
    and before weight decay. Steps that a loss scaler skips do not count. It is summed on the
    device and read at the log interval; ``benchmarks/run.py monitor`` times it.

    Args:
        layers (Sequence[str]): Names of convolutions in the model; ``*`` stands for anything:
            ``['backbone.layer4.*']``. Default: ``['*']``, all.
        interval (int, optional): Iterations between two log lines. Default: None, the
            interval of the run's ``LoggerHook``.
        sample_interval (int, optional): Iterations between two samples. Default: None, a
            tenth of ``interval``, at least 1.

    Raises:
        ValueError: For an interval below 1; at the start of training, if the model has no
            convolution to train, if a name of ``layers`` fits none, or if there are several
            optimisers.
    """

    def __init__(self,
                 layers: Sequence[str] = ('*', ),
                 interval: int | None = None,
                 sample_interval: int | None = None) -> None:
        if isinstance(layers, str) or not layers:
            raise ValueError(f"layers must be a list of names such as ['backbone.*'], got "
                             f'{layers!r}.')
        super().__init__(interval, sample_interval)
        self.layers = tuple(layers)

    def before_train(self, runner: Runner) -> None:
        """Find the layers, and listen to the optimiser."""
        super().before_train(runner)
        self._weights = find_conv_weights(bare_model(runner), self.layers)
        self._sum: Tensor | None = None
        self._due = False
        optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise UserError('GradientMonitor listens to one optimiser, but the run has '
                            f'{type(runner.optim_wrapper).__name__}. Remove the hook.')
        self._handle = optimizer.register_step_pre_hook(self._sample)

    def after_train(self, runner: Runner) -> None:
        """Leave the optimiser."""
        self._handle.remove()

    def before_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Ask for a sample; where batches are accumulated, of the next step there is."""
        self._due |= batch_idx % self._every == 0

    @torch.compiler.disable
    @torch.no_grad()
    def _sample(self, optimizer: torch.optim.Optimizer, *args: Any, **kwargs: Any) -> None:
        # Gradients are zeroed before any hook of mmengine runs after the step.
        if not self._due:
            return
        self._due = False
        means = torch.stack([_mean_abs(weight) for weight in self._weights.values()])
        sample = torch.cat((means, means.new_ones(1)))
        # Fused optimisers are handed scaled gradients, and undo the scale or skip the step
        # themselves (torch.amp.GradScaler.step); before others the scaler does.
        scale, found_inf = (getattr(optimizer, name, None) for name in ('grad_scale', 'found_inf'))
        if scale is not None:
            sample[:-1] /= scale.to(sample)
        if found_inf is not None:
            sample = sample.where(found_inf.to(sample) == 0, sample.new_zeros(()))
        self._sum = sample if self._sum is None else self._sum.add_(sample)

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Write the means where a log line is due."""
        means = self._read() if self.is_due(runner, batch_idx) else {}
        # As LoggerHook's: the rest of an epoch has no line, unless it is all of it.
        if means and (self.every_n_inner_iters(batch_idx, self._interval)
                      or len(runner.train_dataloader) <= self._interval):
            # Straight to the backends: the console's lines would be many times longer.
            runner.visualizer.add_scalars(
                dict(means, epoch=runner.epoch + 1, iter=runner.iter + 1), runner.iter + 1)

    def _read(self) -> dict[str, float]:
        total, self._sum = self._sum, None
        # Ranks agree: DistributedDataParallel has averaged the gradients.
        *sums, samples = [0.] if total is None else total.tolist()
        return {f'grad/{name}': value / samples
                for name, value in zip(self._weights, sums) if samples}


def find_conv_weights(model: nn.Module, layers: Sequence[str] = ('*', )) -> dict[str, Tensor]:
    """The weights of the convolutions that are trained, by name, in the model's order."""
    found = {name: module.weight for name, module in model.named_modules()
             if isinstance(module, _ConvNd) and module.weight.requires_grad}
    for layer in layers:
        if not fnmatch.filter(found, layer):
            raise UserError(f'GradientMonitor(layers=...): {layer!r} is the name of none of the '
                            f'{len(found)} convolutions to train in {type(model).__name__}: '
                            f'{", ".join(found)}. Correct it, or remove the hook.')
    return {name: weight for name, weight in found.items()
            if any(fnmatch.fnmatchcase(name, layer) for layer in layers)}


def _mean_abs(weight: Tensor) -> Tensor:
    if weight.grad is None:  # A layer that this step did not use.
        return torch.zeros((), device=weight.device)
    dtype = torch.promote_types(weight.grad.dtype, torch.float32)
    return (torch.linalg.vector_norm(weight.grad, 1, dtype=dtype) / weight.grad.numel()).float()
