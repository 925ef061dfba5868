# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What only a GPU can show: no synchronisation, and images per second end to end."""
import os
import os.path as osp
import tempfile
import time
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

import mmips
from benchmarks.bench_decode import write_photographs
from benchmarks.steps import make_batch, make_model
from benchmarks.timing import Options, table
from mmips.config.device_path import on_device
from mmips.config.switches import use_amp

__all__ = ['RECIPES', 'images_per_second', 'photographs', 'run']

_VARIANTS: dict[str, dict[str, Any]] = {
    'float32': {},
    'float32, channels-last': dict(channels_last=True),
    'AMP': dict(amp=True),
    'AMP, channels-last': dict(amp=True, channels_last=True),
    'AMP, channels-last, compile': dict(amp=True, channels_last=True, compile=True),
    'device path, bfloat16, CUDA graph': dict(device=True, amp=True, channels_last=True),
    'device path, bfloat16, CUDA graph, compile': dict(
        device=True, amp=True, channels_last=True, compile=True),
}
RECIPES = {'plain': 'ips/resnet18_hard_cifar100.py', 'IPS': 'ips/resnet18_ips_cifar100.py'}


def run(options: Options) -> list[str]:
    """Tables of the GPU alone."""
    return [_no_sync(options), _throughput(options), photographs(options)]


def _no_sync(options: Options) -> str:
    """Augment and loss under torch's sync debugging, which raises at the first wait."""
    model: Any = make_model(32, 'ips', options)
    batch = make_batch(32, 128, classes=100)
    data = model.data_preprocessor(batch, training=True)
    model.loss(**data)  # the first step checks the pairs, and may wait for that
    scores = torch.stack([sample.gt_score for sample in data['data_samples']])
    augment = model.data_preprocessor.batch_augments.augments[0]
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        augment(data['inputs'], scores)
        losses = model.loss(**data)
        (losses['loss_ce'] + losses['loss_kd']).backward()
    finally:
        torch.cuda.set_sync_debug_mode('default')
    return table('Waits of the host for the device', ['', ''], [['augment and loss', 'none']])


def _throughput(options: Options) -> str:
    rows = []
    for variant, settings in _VARIANTS.items():
        speed = {name: images_per_second(config, options, **settings)
                 for name, config in RECIPES.items()}
        overhead = 100 * (speed['plain'] / speed['IPS'] - 1)
        rows.append([variant, speed['plain'], speed['IPS'], f'{overhead:+.1f} %'])
    return table('CIFAR-100, ResNet-18, Runner end to end, 4 workers or on the device: images/s',
                 ['', 'plain', 'IPS', 'overhead'],
                 [*rows, ['aim, device path', '', '>= 80,000 (H200), 60,000 (H100)', '']])


def photographs(options: Options) -> str:
    """ResNet-50 at 224 from JPEG files, beside the same step on images that lie on the device."""
    config, images = 'ips/resnet50_hard_in1k.py', 4 if options.tiny else 512
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(folder, images)
        np.savez(osp.join(folder, 'x.npz'), labels=np.arange(images) % 2, images=np.zeros(
            (images, 224, 224, 3), dtype=np.uint8))
        files = dict(type='RepeatDataset', times=20, dataset=dict(
            type='CustomDataset', data_root=folder, pipeline=Config.fromfile(
                mmips.cfg(config)).train_dataloader.dataset.pipeline))
        arrays = dict(type='RepeatDataset', times=20, dataset=dict(
            type='mmips.ArrayDataset', ann_file=osp.join(folder, 'x.npz'), pipeline=[
                dict(type='RandomFlip', prob=0.5), dict(type='PackInputs')]))
        ways: dict[str, dict[str, Any]] = {
            'images on the device': dict(device=True, dataset=arrays),
            'files, decoded on the device': dict(device=True, dataset=files),
            "files, mmpretrain's pipeline": dict(dataset=files)}
        speed = {way: images_per_second(config, options, amp=not options.tiny, channels_last=True,
                                        workers=os.cpu_count() or 1, **settings)
                 for way, settings in ways.items()}
    most = speed['images on the device']
    rows: list[list[object]] = [[way, each, f'{100 * each / most:.0f} %']
                                for way, each in speed.items()]
    return table('ResNet-50 at 224, batches of 128, JPEG files in the page cache, a worker a core',
                 ['', 'images/s', 'of the first'],
                 [*rows, ['aim, decoded on the device', '>= 3,000', '>= 90 %']])


def images_per_second(config: str,
                      options: Options,
                      device: bool = False,
                      amp: bool = False,
                      channels_last: bool = False,
                      compile: bool = False,
                      workers: int = 4,
                      dataset: dict | None = None) -> float:
    """Train with the Runner, and count.

    Args:
        config (str): One of our configs.
        options (Options): Number of steps.
        device (bool): The device path, its steps as CUDA graphs. Default: False.
        amp (bool): Mixed precision, on the device path in bfloat16. Default: False.
        channels_last (bool): Memory format of the model. Default: False.
        compile (bool): ``torch.compile`` of the backbone. Default: False.
        workers (int): Of the data loader, where it has any. Default: 4.
        dataset (dict, optional): Config of the data. Default: None, random images of the size of
            CIFAR's.
    """
    batch = 8 if options.tiny else 128
    clock = _Clock(*((1, 2) if options.tiny else (30, 300)))
    with tempfile.TemporaryDirectory() as folder:
        cfg = _config(config, folder, batch, clock.stop, 0 if options.tiny else workers, dataset)
        if options.tiny:
            cfg.model.backbone.update(stem_channels=8, base_channels=8)
            cfg.model.head.in_channels //= 8
        if device:
            cfg.merge_from_dict(on_device(cfg))
            del cfg.custom_hooks[-1]
        # The Runner's own `compile` takes the whole step, in which torch 2.11 stumbles over
        # mmengine's checks of versions.
        cfg.custom_hooks.append(dict(
            type='mmips.FastStepHook', channels_last=channels_last, cuda_graph=device,
            compile=dict() if compile else None))
        if amp:
            use_amp(cfg)
        runner = Runner.from_cfg(cfg)
        runner.register_hook(clock)
        runner.train()
    return (clock.stop - clock.start) * batch / clock.seconds


def _config(name: str, folder: str, batch: int, steps: int, workers: int,
            dataset: dict | None) -> Config:
    """The recipe of ``name``: fewer steps, no validation, these images or random ones."""
    cfg = Config.fromfile(mmips.cfg(name))
    cfg.train_dataloader.update(batch_size=batch, num_workers=workers)
    cfg.train_dataloader.dataset = dataset or _random_images(
        folder, 50_000 if workers else 1_000, cfg.train_dataloader.dataset.pipeline)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps)
    cfg.param_scheduler = None
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator',
                'test_cfg', 'test_dataloader', 'test_evaluator'):
        cfg[key] = None
    # The hook that seeds each epoch wants epochs; all others stay.
    hooks = cfg.get('custom_hooks') or []
    cfg.custom_hooks = [hook for hook in hooks if hook.type != 'mmips.EpochSeedHook']
    cfg.default_hooks.checkpoint = None
    cfg.merge_from_dict(dict(work_dir=folder, log_level='ERROR', visualizer=None))
    cfg.experiment_name = osp.basename(folder)
    return cfg


def _random_images(folder: str, images: int, pipeline: list) -> dict:
    """A data set of CIFAR's size of images."""
    file, rng = osp.join(folder, 'images.npz'), np.random.default_rng(0)
    np.savez(file, images=rng.integers(256, size=(images, 32, 32, 3), dtype=np.uint8),
             labels=rng.integers(100, size=images))
    return dict(type='mmips.ArrayDataset', ann_file=file, pipeline=pipeline)


class _Clock(Hook):
    """Take the time between two steps, the device's queue emptied at both."""

    priority = 'LOWEST'

    def __init__(self, warm: int, steps: int) -> None:
        self.start, self.stop = warm, warm + steps
        self.seconds = 0.0

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        """Start or stop."""
        if runner.iter + 1 not in (self.start, self.stop):
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds = now - self.seconds
