# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The device path against mmpretrain's pipeline with two workers, on this machine's CPU."""
import copy
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

import mmips
from benchmarks.steps import MeanColour
from benchmarks.timing import Options, interleave, ratio, table
from mmips.config.device_path import on_device

__all__ = ['run']

_NETWORKS = {'resnet-s': {}, 'ResNet-18 of width 16': dict(
    num_stages=4, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1), out_indices=(3, ))}
_STEPS = 4
# Those of the paper's 240 epochs of CIFAR-100.
_LATE = 187_680


def _images(options: Options) -> int:
    return 4 if options.tiny else 128


def run(options: Options) -> Iterator[str]:
    """Tables of the host's time, of images a second and of what IPS adds."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get('MMIPS_NPZ')
        try:
            for pixels in (32, 4):
                os.environ['MMIPS_NPZ'] = str(_write_images(Path(folder), options, pixels))
                yield _host_time(folder, options, pixels)
            os.environ['MMIPS_NPZ'] = str(_write_images(Path(folder), options))
            yield _speed(folder, options)
        finally:
            os.environ.pop('MMIPS_NPZ', None)
            os.environ.update({'MMIPS_NPZ': before} if before else {})


def _write_images(folder: Path, options: Options, pixels: int = 32) -> Path:
    rng, number = np.random.default_rng(0), 400 if options.tiny else 50_000
    arrays = {}
    for split in ('train', 'test'):
        arrays[f'images_{split}'] = rng.integers(256, size=(number, pixels, pixels, 3),
                                                dtype=np.uint8)
        arrays[f'labels_{split}'] = np.arange(number) % 100
    np.savez(folder / 'images.npz', **arrays)  # type: ignore[arg-type]
    return folder / 'images.npz'


def _host_time(folder: str, options: Options, pixels: int) -> str:
    """What a step takes beside forward, backward and optimizer, with one layer for a network."""
    images, rounds, rows = _images(options), options.repeats(60), []
    runners = {
        "mmpretrain's pipeline": _runner('hard', folder, options, pixels=pixels, workers=0),
        'the same, two workers': _runner('hard', folder, options, pixels=pixels),
        '**device path**': _runner('hard', folder, options, pixels=pixels, device=True)}
    for steps in (0, _LATE):
        for runner in runners.values() if steps else ():
            _age(runner, steps)
        seconds = interleave({name: _step(runner) for name, runner in runners.items()}, rounds,
                             options)
        work = statistics.median(interleave(
            {'work': _work(runners['**device path**'], images, pixels)}, rounds, options)['work'])
        beside = {name: statistics.median(each) - work for name, each in seconds.items()}
        ours = beside['**device path**']
        rows += [[name, f'{steps:,}', 1e3 * (each + work), 1e3 * each, each / ours,
                  '< 1 ms' if each == ours else '>= 8'] for name, each in beside.items()]
    return table(f'Host time of a step: {images} images of {pixels}x{pixels}, a one-layer network',
                 ['', 'after steps', 'step, ms', 'beside forward, backward and optimizer, ms',
                  'as a multiple', 'aim'], rows)


def _age(runner: Runner, steps: int) -> None:
    """Give what is logged the history that so many steps leave behind."""
    for buffer in runner.message_hub.log_scalars.values():
        buffer._log_history = np.ones(min(steps, buffer.max_length))
        buffer._count_history = np.ones(len(buffer._log_history))


def _speed(folder: str, options: Options) -> str:
    rows = []
    fast = torch.cpu._is_avx512_bf16_supported()
    aims = {'resnet-s': ('> 1.05', '> 1.7'), 'ResNet-18 of width 16': ('> 1.1', '> 1.3')}
    bare = interleave({recipe: _step(_runner(recipe, folder, options, pixels=32, device=True))
                       for recipe in ('hard', 'ips')}, options.repeats(60), options)
    added = statistics.median(ips - hard for hard, ips in zip(bare['hard'], bare['ips']))
    for network, backbone in _NETWORKS.items():
        variants: dict[str, dict[str, Any]] = {'mmpretrain': {}, 'device': dict(device=True)}
        if fast:
            variants['bfloat16'] = dict(device=True, bfloat16=True)
        steps = {name: _steps(_runner('hard', folder, options, backbone=backbone, **variant))
                 for name, variant in variants.items()}
        seconds = interleave(steps, options.repeats(12), options, warm=False)
        per_step = {name: statistics.median(each) / _STEPS for name, each in seconds.items()}
        rows.append([network, _images(options) / per_step['mmpretrain'],
                     ratio(seconds, 'mmpretrain', 'device'), aims[network][0],
                     ratio(seconds, 'mmpretrain', 'bfloat16') if fast else 'no instructions',
                     aims[network][1],
                     f'{1e3 * added:.2g} ms = {100 * added / per_step["device"]:+.2f} %', '< 1 %'])
    return table("Training on the device path, as a multiple of mmpretrain's pipeline",
                 ['network', "mmpretrain's, images/s", 'float32', 'aim', 'bfloat16', 'aim',
                  'added by IPS to float32', 'aim'], rows)


def _runner(recipe: str, folder: str, options: Options, pixels: int = 0, device: bool = False,
            workers: int = 2, bfloat16: bool = False, backbone: Any = None) -> Runner:
    """A Runner that has taken its first steps; with ``pixels`` of one layer, on such images."""
    cfg = Config.fromfile(mmips.cfg(f'ips/resnet-s_{recipe}_npz.py'))
    cfg.train_dataloader.update(batch_size=_images(options),
                                num_workers=0 if options.tiny else workers)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader',
                'test_evaluator', 'param_scheduler'):
        cfg[key] = None
    cfg.custom_hooks = []
    if recipe == 'ips':
        cfg.train_dataloader.sampler = dict(type='mmips.InfinitePairedClassSampler')
    if backbone:
        cfg.model.backbone.update(copy.deepcopy(backbone))
        cfg.model.head.in_channels = 128
    if pixels:
        cfg.train_dataloader.dataset.pipeline[0].update(crop_size=pixels, padding=pixels // 8)
        cfg.model.backbone = dict(type=MeanColour, features=64)
    if device:
        cfg.merge_from_dict(on_device(cfg))
    if bfloat16:
        cfg.optim_wrapper.type = 'mmips.BFloat16OptimWrapper'
    # Beyond a log line of the quick ones.
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=120 if pixels else 3)
    cfg.default_hooks.checkpoint = None
    cfg.merge_from_dict(dict(work_dir=folder, log_level='ERROR', visualizer=None))
    cfg.experiment_name = f'bench_{id(cfg)}'
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def _step(runner: Runner) -> Callable[[], object]:
    """A step as the Runner takes it: loader, hooks, preprocessor, forward, backward, optimizer."""
    loop: Any = runner.train_loop
    return lambda: loop.run_iter(next(loop.dataloader_iterator))


def _steps(runner: Runner) -> Callable[[], object]:
    step = _step(runner)
    return lambda: [step() for _ in range(_STEPS)]


def _work(runner: Runner, images: int, pixels: int) -> Callable[[], object]:
    """Forward, backward and optimizer alone, on a batch that is ready."""
    model: Any = runner.model
    inputs, labels = torch.randn(images, 3, pixels, pixels), torch.arange(images) % 100

    def work() -> None:
        loss = model.head.loss_module(model.head(model.extract_feat(inputs)), labels)
        runner.optim_wrapper.update_params(loss)

    return work
