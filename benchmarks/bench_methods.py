# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""What every method of ``configs/sweeps/methods_npz.yml`` costs beside plain training."""
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from mmpretrain.models import ImageClassifier
from torch.nn.modules.module import register_module_forward_pre_hook

from benchmarks.timing import Options, interleave, ratio, table
from mmips.config import loading, sources
from mmips.config.paths import config_root
from mmips.models.memory import find_memories
from mmips.runs.sweep_file import read_sweep
from mmips.runs.sweep_recipes import Recipe, Sweep

__all__ = ['run']

_PLAIN = 'hard label'


def run(options: Options) -> Iterator[str]:
    """One table, a row a recipe; all in float32, without CUDA graphs."""
    before = os.environ.get('MMIPS_NPZ')
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.environ['MMIPS_NPZ'] = str(_write_images(Path(folder), options))
            yield _costs(Path(folder), options)
        finally:
            os.environ.pop('MMIPS_NPZ', None)
            os.environ.update({'MMIPS_NPZ': before} if before else {})


def _write_images(folder: Path, options: Options) -> Path:
    classes, each = (4, 8) if options.tiny else (20, 100)
    images = np.random.default_rng(0).integers(
        256, size=(classes * each, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(len(images)) % classes
    np.savez(folder / 'images.npz', images_train=images, labels_train=labels,
             images_test=images[:classes], labels_test=labels[:classes])
    return folder / 'images.npz'


def _costs(folder: Path, options: Options) -> str:
    sweep = read_sweep(config_root() / 'sweeps/methods_npz.yml')
    runners = {recipe.name: _runner(sweep, recipe, folder, options) for recipe in sweep.recipes}
    steps = {name: _step(runner) for name, runner in runners.items()}
    seen = {name: _images_seen(runner, steps[name]) for name, runner in runners.items()}
    peaks = {name: _peak(step, options) for name, step in steps.items()}
    seconds = interleave(steps, options.repeats(20), options, warm=False)
    rows = []
    for name, runner in runners.items():
        parameters = sum(part.numel() for part in runner.model.parameters() if part.requires_grad)
        remembered = sum(part.nbytes for _, memory in find_memories(runner.model)
                         for part in memory.remembered().values())
        rows.append([name, runner.train_dataloader.batch_size, *seen[name],
                     parameters / 1e6, remembered / 2**20, 1e3 * statistics.median(seconds[name]),
                     ratio(seconds, name, _PLAIN), peaks[name] / 2**20,
                     peaks[name] / peaks[_PLAIN]])
    images = runners[_PLAIN].train_dataloader.batch_size
    return table(f'Methods: a step, {images} images of 32x32 in plain training', [
        'method', 'images a step', 'forwards with gradient, an image of an epoch', 'without',
        'parameters in training, M', 'remembered, MB', 'step, ms', 'x plain',
        'peak of a step, MB', 'x plain'], rows)


def _runner(sweep: Sweep, recipe: Recipe, folder: Path, options: Options) -> Runner:
    """A Runner that has trained two epochs: what remembers has something to remember."""
    cfg = loading.load_config(recipe.config, {
        key: value for key, value in recipe.options.items() if key != 'optim_wrapper.type'})
    if cfg.model.get('teacher'):
        cfg.model.teacher.checkpoint = str(_write_teacher(cfg.model.teacher.config, folder))
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks
                        if sources.type_name(hook) != 'FastStepHook']
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader',
                'test_evaluator', 'param_scheduler'):
        cfg[key] = None
    cfg.train_cfg = dict(by_epoch=True, max_epochs=2)
    # What has a warm-up would diverge without.
    cfg.optim_wrapper.optimizer.lr = 1e-3
    if options.tiny:
        cfg.train_dataloader.batch_size = 16
        if 'batch_size' in cfg.train_dataloader.sampler:
            cfg.train_dataloader.sampler.batch_size = 16
    cfg.default_hooks.checkpoint = None
    cfg.merge_from_dict(dict(work_dir=str(folder), log_level='ERROR', visualizer=None))
    cfg.experiment_name = f'bench_{id(cfg)}'
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def _write_teacher(config: str, folder: Path) -> Path:
    """A checkpoint of random weights, which cost as much as any others."""
    model = loading.load_config(config).model
    path = folder / 'teacher.pth'
    torch.save(dict(state_dict=ImageClassifier(
        **{part: model[part] for part in ('backbone', 'neck', 'head')}).state_dict()), path)
    return path


def _step(runner: Runner) -> Callable[[], None]:
    """A step as the Runner takes it, with the hooks."""
    loop: Any = runner.train_loop

    def batches() -> Iterator[dict]:
        while True:
            yield from loop.dataloader

    given = batches()

    def step() -> None:
        loop.run_iter(0, next(given))

    return step


def _images_seen(runner: Runner, step: Callable[[], None]) -> list[float]:
    """How often a first convolution sees an image of an epoch, with and without gradient."""
    seen = {True: 0, False: 0}

    def count(module: torch.nn.Module, inputs: tuple) -> None:
        # Of any network, a teacher beside the model as well: the one that takes colours.
        if isinstance(module, torch.nn.Conv2d) and module.in_channels == 3:
            seen[torch.is_grad_enabled()] += len(inputs[0])

    with register_module_forward_pre_hook(count):
        for _ in runner.train_dataloader.batch_sampler:
            step()
    number = len(runner.train_dataloader.dataset)
    return [seen[with_gradient] / number for with_gradient in (True, False)]


def _peak(step: Callable[[], object], options: Options) -> int:
    """Bytes that a step takes at its peak beyond what was there before it."""
    if options.device != 'cpu':
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU],
                                profile_memory=True) as profile:
        step()
    # What torch's allocator gives (positive) and takes back, in the order of time.
    events = [event for event in profile.profiler.kineto_results.events()
              if event.name() == '[memory]']
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return int(np.cumsum(sizes).max())
