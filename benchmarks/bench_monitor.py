# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What the monitors add to a training step of IPS, at their worst: every step sampled and read."""
import statistics
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import MODELS

from benchmarks.steps import NETWORKS, make_batch, make_model
from benchmarks.timing import Options, interleave, table
from mmips.engine.hooks import GradientMonitor
from mmips.engine.hooks.self_distill_monitor import count_pairs
from mmips.models.batch_augments import find_patch_swaps

__all__ = ['run']

_ROUNDS = 12


def run(options: Options) -> list[str]:
    """Table of a step with the monitors over the same model's step without them."""
    rows = [_compare(name, *_make(name, options), options) for name in _networks()]
    return [table('Training monitor: every step sampled and read',
                  ['network', 'images', 'step, ms', 'monitored, ms', 'overhead', 'middle half',
                   'layers alone', "the KL's gradient alone", 'aim'], rows)]


def _networks() -> list[str]:
    return ['small at 32', *(f'{network[0]} at {size}' for size, network in NETWORKS.items())]


def _make(name: str, options: Options) -> tuple[Any, dict]:
    """A model and a batch."""
    size = int(name.split()[-1])
    model: Any = make_model(size, 'ips', options)
    classes, images = NETWORKS[size][3], NETWORKS[size][-1]
    if name.startswith('small'):
        # The network and the batch of ips/resnet-s_ips_npz.py.
        model.backbone = MODELS.build(dict(
            type='ResNet_CIFAR', depth=18, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
            out_indices=(2, ), stem_channels=16, base_channels=16)).to(options.device)
        model.head.fc = torch.nn.Linear(64, classes).to(options.device)
        images = 64
    if options.tiny:
        size, images = 32, 2
    return model, make_batch(size, images, classes)


def _compare(name: str, model: Any, batch: dict, options: Options) -> list[object]:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9, weight_decay=5e-4)
    wrapper = OptimWrapper(optimizer)
    monitor = _attach(model, wrapper)
    swap, = find_patch_swaps(model)

    def step(watched: bool) -> None:
        monitor._due = watched
        model.train_step(batch, wrapper)
        if watched:
            monitor._read()
            count_pairs(model.last_step, [swap.last_mask], model.distill).tolist()

    # One model does both, so that weights, memory and caches are the same.
    seconds = interleave({'plain': lambda: step(False), 'watched': lambda: step(True)},
                         options.repeats(_ROUNDS), options, warm=False)
    overhead = [100 * (b / a - 1) for a, b in zip(seconds['plain'], seconds['watched'])]
    low, middle, high = statistics.quantiles(overhead, n=4)
    plain, watched = (statistics.median(seconds[kind]) for kind in ('plain', 'watched'))
    # A busy machine hides a percent of seconds; what is added can be timed by itself.
    layers, kl = _time_alone(model, batch, monitor, optimizer, options)
    return [name, len(batch['inputs']), 1e3 * plain, 1e3 * watched, f'{middle:+.2f} %',
            f'{low:+.1f} to {high:+.1f} %',
            *(f'{1e3 * added:.2g} ms = {100 * added / plain:+.2f} %' for added in (layers, kl)),
            '< 2 %']


def _attach(model: Any, wrapper: OptimWrapper) -> GradientMonitor:
    monitor = GradientMonitor()
    monitor.before_train(SimpleNamespace(  # type: ignore[arg-type]
        model=model, hooks=[], optim_wrapper=wrapper))
    return monitor


def _time_alone(model: Any, batch: dict, monitor: GradientMonitor,
                optimizer: torch.optim.Optimizer, options: Options) -> tuple[float, float]:
    """Seconds of sampling all layers, and of the KL's gradient."""
    inputs = model.data_preprocessor(batch, training=True)
    sum(model(**inputs, mode='loss').values()).backward()
    step = model.last_step
    masks = [swap.last_mask for swap in find_patch_swaps(model)]

    def sample() -> None:
        monitor._due = True
        monitor._sample(optimizer)
        monitor._read()

    seconds = interleave({'layers': sample, 'kl': lambda: count_pairs(step, masks, model.distill),
                          'gap': lambda: count_pairs(step, masks)}, options.repeats(60), options)
    added = statistics.median(b - a for a, b in zip(seconds['gap'], seconds['kl']))
    return statistics.median(seconds['layers']), added
