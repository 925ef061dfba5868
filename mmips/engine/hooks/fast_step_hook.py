# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.optim import SGD

from mmips.engine.hooks.monitor import ModelHook, bare_model
from mmips.errors import UserError
from mmips.models.losses import PairKLLoss
from mmips.registry import HOOKS
from mmips.structures.batch_samples import BatchSamples


@HOOKS.register_module()
class FastStepHook(ModelHook):
    """Channels-last, a compiled backbone and whole steps as CUDA graphs, all on a GPU alone.

    The checkpoint stays that of the plain model. Small images leave a GPU waiting for Python to
    launch the next of some thousand kernels; a CUDA graph launches a whole step at once. The
    batch is made outside it, so that crops, flips and swaps stay random. For one optimiser and
    batches of ``mmips.ImagesOnDevice``; batches of other than the usual size take an ordinary
    step, as do all in a run of several processes.

    Args:
        channels_last (bool): Memory format of the model. Default: True.
        compile (dict | None): Arguments of ``torch.compile`` for the backbone, which is used for
            training alone. Default: None, not compiled.
        cuda_graph (bool): Capture the step. Default: True.

    Raises:
        UserError: At the start of training, for what a captured step would leave out or wait
            for: accumulated or clipped gradients, a loss scaler, an optimizer that counts its steps
            in Python, a ``target``, or a monitor of gradients.
    """

    # After all hooks that look at the model or its optimiser before training.
    priority = 'LOWEST'

    def __init__(self, channels_last: bool = True, compile: dict | None = None,
                 cuda_graph: bool = True) -> None:
        self.channels_last, self.compile, self.cuda_graph = channels_last, compile, cuda_graph

    def before_train(self, runner: Runner) -> None:
        """Prepare the model."""
        if not torch.cuda.is_available():
            runner.logger.info('mmips.FastStepHook: no GPU, ordinary steps.')
            return
        inner = bare_model(runner)
        if self.channels_last:
            inner.to(memory_format=torch.channels_last)
        if self.compile is not None:
            _compile_for_training(inner.backbone, **self.compile)
        if self.cuda_graph and is_model_wrapper(runner.model):
            runner.logger.info('mmips.FastStepHook: several processes, no CUDA graph.')
        elif self.cuda_graph:
            _check(runner, inner)
            inner.train_step = GraphedStep(inner)


def _check(runner: Runner, inner: Any) -> None:
    wrapper = runner.optim_wrapper
    optimizer = getattr(wrapper, 'optimizer', None)
    groups = getattr(optimizer, 'param_groups', [])
    # What a replay repeats without Python: no sample number or epoch of the Step is new in it.
    reasons = {
        'one optimizer, without accumulated gradients':
            getattr(wrapper, '_accumulative_counts', 0) != 1,
        'gradients that are not clipped, since mmengine waits for their norm':
            getattr(wrapper, 'clip_grad_kwargs', None),
        'SGD, or an optimizer with capturable=True, such as torch.optim.AdamW':
            not isinstance(optimizer, SGD) and not all(group.get('capturable') for group in groups),
        'mixed precision without a loss scaler, which is mmips.BFloat16OptimWrapper':
            hasattr(wrapper, 'loss_scaler'),
        'no hook that watches the optimizer, such as GradientMonitor':
            getattr(optimizer, '_optimizer_step_pre_hooks', None),
        'an ordinary classifier, or pairs with mmips.PairKLLoss and no target':
            getattr(inner, 'target', None) is not None
            or type(getattr(inner, 'distill', None)) not in (type(None), PairKLLoss)
            or getattr(inner, 'images_per_input', 1) != 1,
    }
    wrong = [reason for reason, broken in reasons.items() if broken]
    if wrong:
        raise UserError(f'A step as CUDA graph needs {"; ".join(wrong)}. Change that or write '
                        "dict(type='mmips.FastStepHook', cuda_graph=False).")


def _compile_for_training(backbone: Any, **options: Any) -> None:
    """Compile in place; validation, and batches of another size, take the plain module."""
    plain = backbone.forward
    compiled = torch.compile(plain, dynamic=False, **options)
    usual: list[torch.Size] = []

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not backbone.training:
            return plain(x, *args, **kwargs)
        if not usual:
            usual.append(x.shape)
        return (compiled if x.shape == usual[0] else plain)(x, *args, **kwargs)

    backbone.forward = forward


class GraphedStep:
    """Stands for a classifier's ``train_step``: the same step, launched at once.

    Args:
        model (ImageClassifier): With a ``mmips.BatchDataPreprocessor``.
        warm_up (int): Ordinary steps before the capture, and after each change of the learning
            rate or another number of the optimizer's, which a graph holds as constants.
            Default: 3.
    """

    def __init__(self, model: Any, warm_up: int = 3) -> None:
        self.model, self.warm_up = model, warm_up
        self._eager = model.train_step
        self._key: tuple | None = None
        self._seen = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        # Autograd ties each parameter's gradient to the stream of its first use: the warm-up has
        # to run where the capture does.
        self._stream = torch.cuda.Stream()

    def __call__(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Take a step; what it logs stays on the device."""
        if not isinstance(data['data_samples'], BatchSamples):
            return self._eager(data, optim_wrapper)
        numbers = [value for group in optim_wrapper.optimizer.param_groups
                   for value in group.values() if isinstance(value, (int, float, tuple))]
        self._key = self._key or (data['inputs'].shape, numbers)
        shape, old = self._key
        if data['inputs'].shape != shape:
            return self._eager(data, optim_wrapper)
        if numbers != old:
            self._key, self._seen, self._graph = (shape, numbers), 0, None
        batch = self.model.data_preprocessor(data, True)
        if self._graph is None:
            if self._seen < self.warm_up:
                self._seen += 1
                self._stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(self._stream):
                    logged = self._step(batch, optim_wrapper)
                torch.cuda.current_stream().wait_stream(self._stream)
                return logged
            self._capture(batch, optim_wrapper)
        self._inputs.copy_(batch['inputs'])
        self._target.copy_(batch['data_samples'].target)
        self._graph.replay()  # type: ignore[union-attr]
        # Copies: the next replay writes where these lie.
        return dict(zip(self._logged, torch.stack(list(self._logged.values())).unbind()))

    def _step(self, batch: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        with optim_wrapper.optim_context(self.model):
            losses = self.model(**batch, mode='loss')
        loss, logged = self.model.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return {name: value.detach() for name, value in logged.items()}

    def _capture(self, batch: dict, optim_wrapper: OptimWrapper) -> None:
        samples = batch['data_samples']
        self._inputs, self._target = batch['inputs'].clone(), samples.target.clone()
        scores = self._target if self._target.ndim == 2 else None
        labels = samples.gt_label if scores is not None else self._target
        fixed = dict(inputs=self._inputs,
                     data_samples=BatchSamples(labels, samples.sample_idx, scores))
        # The optimiser counts its calls in Python, which a replay does not repeat.
        count = optim_wrapper._inner_count
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=self._stream):
            self._logged = self._step(fixed, optim_wrapper)
        optim_wrapper._inner_count = count
