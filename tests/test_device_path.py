"""All images on the training device: everything trains, logs and resumes as it does without."""
import json
import os

import pytest
import torch
from conftest import StopAt
from helpers.configs import load
from helpers.two_processes import in_two_processes
from mmengine.hooks import Hook
from mmengine.runner import Runner

MIXUP, CUTMIX = dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)
SWAP = dict(type='mmips.IntraClassPatchSwap', grid_size=2, prob=0.5)
IPS, HARD = 'ips/resnet-s_ips_digits.py', 'ips/resnet-s_hard_digits.py'
SEEDED = dict(type='mmips.EpochSeedHook')
#: What is trained -> config and options.
VARIANTS = {
    'hard label': (HARD, {}),
    'CutMix or Mixup': (HARD, {'model.train_cfg': dict(augments=[CUTMIX, MIXUP])}),
    'label smoothing': (HARD, {'model.head.loss': dict(
        _delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1)}),
    'IPS with both monitors': (IPS, {
        'custom_hooks': [SEEDED, dict(type='mmips.SelfDistillMonitor'),
                         dict(type='mmips.GradientMonitor')]}),
    'IPS and label smoothing': (IPS, {'model.head.loss': dict(
        _delete_=True, type='LabelSmoothLoss', label_smooth_val=0.1)}),
    'IPS and CutMix of pairs': (IPS, {'model.train_cfg.augments': [dict(
        type='mmips.SequentialBatchAugment', augments=[
            dict(type='mmips.PairwiseBatchAugment', augment=CUTMIX), SWAP])]}),
    'IPS or Mixup of pairs': (IPS, {'model.train_cfg.augments': [
        dict(type='mmips.PairwiseBatchAugment', augment=MIXUP), SWAP]}),
    'IPS and EMA': (IPS, {'custom_hooks': [SEEDED, dict(type='EMAHook', momentum=0.1)]}),
}


def put_on_device(cfg, **preprocessor):
    """As mmips.config.device_path does."""
    for field in ('train_dataloader', 'val_dataloader'):
        images = cfg[field].pop('dataset')
        images.pop('pipeline')
        cfg[field].update(collate_fn=dict(type='mmips.whole_batch'),
                          dataset=dict(type='mmips.ImagesOnDevice', dataset=images))
    cfg.data_preprocessor.update(type='mmips.BatchDataPreprocessor', **preprocessor)


def make(folder, variant='IPS with both monitors', on_device=True, crop_padding=0, **options):
    """A runner of two epochs of a few steps over 4 images a class."""
    name, settings = VARIANTS[variant]
    cfg = load(name)
    cfg.merge_from_dict({
        'work_dir': str(folder), 'experiment_name': folder.name, 'train_cfg.max_epochs': 2,
        'train_cfg.val_interval': 1, 'train_dataloader.batch_size': 8,
        'train_dataloader.dataset.per_class': 4, 'train_dataloader.dataset.pipeline': [
            dict(type='PackInputs')], 'val_dataloader.dataset.indices': 20,
        'model.backbone.stem_channels': 4, 'model.backbone.base_channels': 4,
        'model.head.in_channels': 16, 'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint': dict(type='CheckpointHook', interval=1),
        **settings, **options})
    if on_device:
        put_on_device(cfg, crop_padding=crop_padding, flip_prob=0.5 * bool(crop_padding))
    runner = Runner.from_cfg(cfg)
    if not on_device:
        use_channels_last(runner.model.data_preprocessor)
    return runner


def use_channels_last(preprocessor):
    """Lay the batch as the device path does: other convolutions are rounded otherwise."""
    forward = preprocessor.forward

    def changed(*args, **kwargs):
        batch = forward(*args, **kwargs)
        return dict(batch, inputs=batch['inputs'].contiguous(memory_format=torch.channels_last))

    preprocessor.forward = changed


def content(runner):
    """What the last checkpoint holds of numbers."""
    saved = torch.load(f'{runner.work_dir}/epoch_2.pth', weights_only=False)
    return {**saved['state_dict'], **saved.get('ema_state_dict', {}), **{
        f'momentum {key}': state['momentum_buffer']
        for key, state in saved['optimizer']['state'].items()}}


def log(runner):
    """Every logged line without what depends on the machine."""
    path = f'{runner._log_dir}/vis_data/scalars.json'
    with open(path) as file:
        return [{key: value for key, value in json.loads(line).items()
                 if not key.endswith('time') and key != 'memory'} for line in file]


@pytest.mark.parametrize('variant', VARIANTS)
def test_trains_and_logs_what_the_ordinary_path_does(tmp_path, variant):
    # One after the other: a Runner seeds when it is made, and draws its weights when it trains.
    (ours := make(tmp_path / 'device', variant)).train()
    (plain := make(tmp_path / 'plain', variant, on_device=False)).train()
    expected = content(plain)
    assert all(torch.equal(value, expected[key]) for key, value in content(ours).items())
    assert log(ours) == log(plain)
    keys = set().union(*log(ours))
    assert ('loss_kd' in keys) == (VARIANTS[variant][0] == IPS)
    if 'monitors' in variant:
        assert {'conf_gap_swapped', 'kd_grad_raw', 'grad/backbone.conv1'} <= keys


@pytest.mark.parametrize('variant', ['IPS with both monitors', 'IPS and CutMix of pairs',
                                     'IPS and EMA'])
def test_killed_and_resumed_ends_in_the_same_bits(tmp_path, variant):
    whole = make(tmp_path / 'whole', variant, crop_padding=2)
    whole.train()
    killed = make(tmp_path / 'killed', variant, crop_padding=2)
    killed.register_hook(StopAt(killed.train_loop.max_iters * 3 // 4))
    with pytest.raises(InterruptedError):
        killed.train()
    torch.manual_seed(99)
    resumed = make(tmp_path / 'killed', variant, crop_padding=2, resume=True)
    resumed.train()
    found = content(resumed)
    assert all(torch.equal(value, found[key]) for key, value in content(whole).items())


class SeenPairs(Hook):
    """Keeps the pairs that a process has trained on."""

    def __init__(self):
        self.pairs = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        numbers = data_batch['data_samples'].sample_idx
        self.pairs += zip(numbers[0::2], numbers[1::2])


def train_one_of_two(folder):
    runner = make(folder / 'two', crop_padding=2, launcher='pytorch', **{
        'train_cfg.max_epochs': 1, 'model_wrapper_cfg': dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False)})
    runner.register_hook(seen := SeenPairs())
    runner.train()
    return seen.pairs, dict(runner.model.module.named_parameters())


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_two_processes_share_out_the_pairs(tmp_path):
    (first, weights), (second, others) = in_two_processes(train_one_of_two, tmp_path)
    assert all(torch.equal(value, others[key]) for key, value in weights.items())
    # Every image is a query once, on one of the two.
    assert sorted(query for query, _ in first + second) == list(range(40))
    sampler = make(tmp_path / 'one').train_dataloader.sampler
    whole = list(sampler)
    assert sorted(first + second) == sorted(zip(whole[0::2], whole[1::2]))
