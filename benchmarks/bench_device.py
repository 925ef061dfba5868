# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The device path against mmpretrain's pipeline with two workers, on this machine's CPU."""
import copy
import os
import statistics
import tempfile
from collections.abc import Callable
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


def _images(options: Options) -> int:
    return 4 if options.tiny else 128


def run(options: Options) -> list[str]:
    """Tables of the host's time, of images a second and of what IPS adds."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get('MMIPS_NPZ')
        os.environ['MMIPS_NPZ'] = str(_write_images(Path(folder), options))
        try:
            return [_host_time(folder, options), _speed(folder, options)]
        finally:
            os.environ.pop('MMIPS_NPZ')
            os.environ.update({'MMIPS_NPZ': before} if before else {})


def _write_images(folder: Path, options: Options) -> Path:
    rng, number = np.random.default_rng(0), 400 if options.tiny else 50_000
    arrays = {}
    for split in ('train', 'test'):
        arrays[f'images_{split}'] = rng.integers(256, size=(number, 32, 32, 3), dtype=np.uint8)
        arrays[f'labels_{split}'] = np.arange(number) % 100
    np.savez(folder / 'images.npz', **arrays)  # type: ignore[arg-type]
    return folder / 'images.npz'


def _host_time(folder: str, options: Options) -> str:
    """What a step takes beside forward, backward and optimizer."""
    steps, works = {}, {}
    for name, device in (('mmpretrain', False), ('device', True)):
        runner = _runner('hard', folder, options, device, bare=True)
        steps[name] = _step(runner)
        works[name] = _work(runner, _images(options))
    seconds = interleave(steps, options.repeats(60), options, warm=False)
    bare = interleave(works, options.repeats(60), options, warm=False)
    beside = {name: [step - statistics.median(bare[name]) for step in seconds[name]]
              for name in steps}
    rows = [[label, 1e3 * statistics.median(seconds[name]), 1e3 * statistics.median(beside[name]),
             aim] for label, name, aim in (
                 ("mmpretrain's pipeline, two workers", 'mmpretrain', ''),
                 ('**device path**', 'device', '< 1 ms'))]
    rows.append(['ratio', ratio(seconds, 'mmpretrain', 'device'),
                 statistics.median(beside['mmpretrain']) / statistics.median(beside['device']),
                 '>= 8'])
    return table(f'Host time of a step: {_images(options)} images of 32x32, a network of one layer',
                 ['', 'step, ms', 'beside forward, backward and optimizer, ms', 'aim'], rows)


def _speed(folder: str, options: Options) -> str:
    rows = []
    fast = torch.cpu._is_avx512_bf16_supported()
    aims = {'resnet-s': ('> 1.05', '> 1.7'), 'ResNet-18 of width 16': ('> 1.1', '> 1.3')}
    for network, backbone in _NETWORKS.items():
        variants: dict[str, dict[str, Any]] = {
            'mmpretrain': {}, 'device': dict(device=True), 'ips': dict(device=True, recipe='ips')}
        if fast:
            variants['bfloat16'] = dict(device=True, bfloat16=True)
        steps = {name: _steps(_runner(folder=folder, options=options, backbone=backbone, **variant))
                 for name, variant in variants.items()}
        seconds = interleave(steps, options.repeats(12), options, warm=False)
        images = _STEPS * _images(options) / statistics.median(seconds['mmpretrain'])
        rows.append([network, images, ratio(seconds, 'mmpretrain', 'device'), aims[network][0],
                     ratio(seconds, 'mmpretrain', 'bfloat16') if fast else 'no instructions',
                     aims[network][1],
                     f'{100 * (ratio(seconds, "ips", "device") - 1):+.2f} %', '< 1 %'])
    return table("Training on the device path, as a multiple of mmpretrain's pipeline",
                 ['network', "mmpretrain's, images/s", 'float32', 'aim', 'bfloat16', 'aim',
                  'IPS over hard label, float32', 'aim'], rows)


def _runner(recipe: str = 'hard', folder: str = '', options: Any = None, device: bool = False,
            bare: bool = False, bfloat16: bool = False, backbone: Any = None) -> Runner:
    """A Runner that has taken its first steps."""
    cfg = Config.fromfile(mmips.cfg(f'ips/resnet-s_{recipe}_npz.py'))
    cfg.train_dataloader.update(batch_size=_images(options), num_workers=0 if options.tiny else 2)
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
    if bare:
        cfg.model.backbone = dict(type=MeanColour, features=64)
    if device:
        cfg.merge_from_dict(on_device(cfg))
    if bfloat16:
        cfg.optim_wrapper.type = 'mmips.BFloat16OptimWrapper'
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=3)
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


def _work(runner: Runner, images: int) -> Callable[[], object]:
    """Forward, backward and optimizer alone, on a batch that is ready."""
    model: Any = runner.model
    inputs, labels = torch.randn(images, 3, 32, 32), torch.arange(images) % 100

    def work() -> None:
        loss = model.head.loss_module(model.head(model.extract_feat(inputs)), labels)
        runner.optim_wrapper.update_params(loss)

    return work
