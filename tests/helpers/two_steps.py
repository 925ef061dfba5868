"""A config's training run made tiny: four images a step, two steps, on arrays."""
from pathlib import Path

import numpy as np
import torch
from helpers.configs import load
from helpers.teachers import use_teacher
from mmengine.hooks import Hook
from mmengine.runner import FlexibleRunner, Runner

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def write_npz(path):
    """Four images of two classes, where the configs look for a file by default."""
    images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    labels = np.array([0, 1, 0, 1])
    np.savez(path, images_train=images, labels_train=labels, images_test=images,
             labels_test=labels)


def tiny_runner(name, work_dir, **options):
    """Runner of a shipped npz config, cut down to 3 epochs of a tiny network."""
    cfg = load(name)
    cfg.merge_from_dict({
        'train_cfg.max_epochs': 3, 'train_cfg.val_interval': 1, 'work_dir': str(work_dir),
        'experiment_name': Path(work_dir).name, 'model.backbone.base_channels': 4,
        'model.backbone.stem_channels': 4, 'model.head.in_channels': 16,
        'train_dataloader.batch_size': 16, 'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint.interval': 1, **options})
    use_teacher(cfg)
    return (FlexibleRunner if 'strategy' in cfg else Runner).from_cfg(cfg)


def innermost(dataset):
    """The data set inside all wrappers."""
    return innermost(dataset.dataset) if 'dataset' in dataset else dataset


def use_arrays(cfg):
    """Put the .npz file in the place of mmpretrain's CIFAR100."""
    for field in LOADERS:
        dataset = innermost(cfg[field].dataset)
        if dataset.type == 'CIFAR100':
            new = dict(type='mmips.ArrayDataset', ann_file='data/cifar100.npz',
                       split=dataset.split, pipeline=dataset.get('pipeline', []))
            dataset.clear()
            dataset.update(new)


def use_small_network(cfg):
    """A narrow ResNet-18 where the network is not the question."""
    cfg.model.backbone = dict(type='ResNet_CIFAR', depth=18, stem_channels=8, base_channels=8)
    cfg.model.neck = dict(type='GlobalAveragePooling')
    cfg.model.head.in_channels = 64


def shrink(cfg):
    """Four images a step, without workers, and 64 pixels where there were 224."""
    use_arrays(cfg)
    train = innermost(cfg.train_dataloader.dataset)
    if train.type == 'mmips.DigitsDataset':
        train.indices = [0, 1, 2, 3, 4, 5, 6, 7]
    if 'batch_size' in cfg.train_dataloader.sampler:
        cfg.train_dataloader.sampler.batch_size = 4
    sizes = {224: 64, 256: 72}
    for field in LOADERS:
        cfg[field].update(batch_size=4 if field == LOADERS[0] else 64, num_workers=0,
                          persistent_workers=False)
        if 'batch_size' in (cfg[field].get('sampler') or {}):
            cfg[field].sampler.batch_size = cfg[field].batch_size
        dataset = innermost(cfg[field].dataset)
        for step in [*dataset.get('pipeline', []), cfg.get('data_preprocessor') or {}]:
            step.update({key: sizes[step[key]] for key in ('scale', 'crop_size', 'resize_edge')
                         if step.get(key) in sizes})
    # Scaled to four images, an lr would be too small to move every weight.
    cfg.get('auto_scale_lr', {}).update(enable=False)
    cfg.default_hooks.checkpoint = None
    cfg.train_cfg.val_interval = 1
    use_teacher(cfg)
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type=StopAfterTwoSteps)]
    return cfg


class StopAfterTwoSteps(Hook):
    """End the run after the first epoch that leaves two steps or more behind."""

    def after_train_epoch(self, runner):
        runner.train_loop.stop_training = runner.iter >= 2


class Notes(Hook):
    """Note the initial weights, and what the model reports in every step."""

    def __init__(self):
        self.losses = []

    def before_train(self, runner):
        self.weights = {key: value.clone() for key, value in runner.model.state_dict().items()}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({key: value.item() for key, value in outputs.items()})


def check_two_steps(name, cfg, tmp_path):
    """Train ``cfg``, changed in place, for two steps and validate; returns the scores by name."""
    shrink(cfg)
    cfg.work_dir = str(tmp_path)
    cfg.experiment_name = f'test_{Path(name).stem}'
    runner = Runner.from_cfg(cfg)
    notes = Notes()
    runner.register_hook(notes)

    runner.train()

    assert 2 <= runner.iter <= 4
    after = runner.model.state_dict()
    weights = [key for key in after if key.endswith('weight')]
    assert all(torch.isfinite(value).all() for value in after.values())
    changed = [key for key in weights if not torch.equal(notes.weights[key], after[key])]
    assert len(changed) > 0.9 * len(weights)
    keys = {'loss'} if cfg.model.type == 'ImageClassifier' else {'loss', 'loss_ce'}
    if 'distill' in cfg.model or cfg.model.type == 'mmips.SelfDistillClassifier':
        keys.add('loss_kd')
    # Those with exits of their own have a loss of each.
    plain = cfg.model.type in ('ImageClassifier', 'mmips.DistillClassifier',
                               'mmips.SelfDistillClassifier', 'mmips.TeacherDistillClassifier')
    assert all(set(losses) == keys if plain else keys < set(losses) for losses in notes.losses)
    assert all(np.isfinite(value) for losses in notes.losses for value in losses.values())
    scalars = runner.message_hub.log_scalars
    scores = {key.removeprefix('val/'): scalars[key].current()
              for key in scalars if key.startswith('val/')}
    assert 0 <= scores['accuracy/top1'] <= 100
    return scores
