# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Steps as CUDA graphs."""
from types import SimpleNamespace

import pytest
import torch

from mmips.engine.hooks import FastStepHook
from mmips.errors import UserError

DEVICE = {
    'train_dataloader.collate_fn': dict(_delete_=True, type='mmips.whole_batch'),
    'train_dataloader.pin_memory': False,
    'data_preprocessor.type': 'mmips.BatchDataPreprocessor',
    'data_preprocessor.crop_padding': 4,
    'data_preprocessor.flip_prob': 0.5,
}


def device_runner(make_runner, npz, *hooks, **options):
    dataset = dict(type='mmips.ArrayDataset', ann_file=str(npz))
    return make_runner(**DEVICE, **{
        'train_dataloader.dataset': dict(
            _delete_=True, type='mmips.ImagesOnDevice', dataset=dataset),
        'custom_hooks': [dict(type='mmips.EpochSeedHook'), *hooks], **options})


def test_without_a_gpu_steps_are_ordinary(make_runner, npz, monkeypatch):
    """The same bits with the hook as without it."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    states = []
    for number, hooks in enumerate(([], [dict(type='mmips.FastStepHook', compile=dict())])):
        runner = device_runner(make_runner, npz, *hooks, work_dir=f'run{number}')
        runner.train()
        states.append(runner.model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_killed_and_resumed_ends_in_the_same_bits(make_runner, npz):
    """Crops, flips and swaps of whole batches follow the epoch's seed."""
    whole = device_runner(make_runner, npz, work_dir='whole')
    whole.train()
    with pytest.raises(InterruptedError):
        device_runner(make_runner, npz, work_dir='killed', stop_at=4).train()
    torch.manual_seed(99)
    resumed = device_runner(make_runner, npz, work_dir='killed', resume=True)
    resumed.train()
    state = resumed.model.state_dict()
    assert all(torch.equal(value, state[name])
               for name, value in whole.model.state_dict().items())


@pytest.mark.gpu
def test_graphed_steps_train_as_ordinary_ones(make_runner, npz, monkeypatch):
    """The same bits after six epochs with a change of lr and a smaller last batch."""
    # Or else two ordinary runs differ as much: small weights turn 1e-6 into 1e-2.
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    monkeypatch.setattr(torch.backends.cudnn, 'deterministic', True)
    states = []
    for number, graph in enumerate((False, True)):
        runner = device_runner(
            make_runner, npz, dict(type='mmips.FastStepHook', cuda_graph=graph),
            work_dir=f'run{number}', **{
                'train_cfg.max_epochs': 6, 'train_dataloader.batch_size': 10,
                'param_scheduler.milestones': [4]})
        runner.train()
        states.append(runner.model.state_dict())
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value), name


@pytest.mark.parametrize('options, message', [
    ({'optim_wrapper.accumulative_counts': 2}, 'without accumulated gradients'),
    ({'optim_wrapper.clip_grad': dict(max_norm=5.)}, 'gradients that are not clipped'),
    ({'optim_wrapper.optimizer': dict(_delete_=True, type='AdamW', lr=0.1)},
     'SGD, or an optimizer with capturable=True'),
    ({'model.target': dict(type='mmips.ClassMeans')},
     'and no target'),
    ({}, 'without a loss scaler, which is mmips.BFloat16OptimWrapper. Change that or write')])
def test_what_a_graph_would_leave_out_is_refused(make_runner, npz, options, message, monkeypatch):
    """Before training."""
    import helpers.methods  # noqa: F401
    runner = device_runner(make_runner, npz, **options)
    # mmengine's own refuses a CPU.
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper) if options else (
        SimpleNamespace(loss_scaler=None))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    with pytest.raises(UserError, match=message):
        FastStepHook().before_train(runner)


def test_several_processes_take_ordinary_steps(make_runner, npz, monkeypatch):
    """No graph can hold what they exchange."""
    runner = device_runner(make_runner, npz)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr('mmips.engine.hooks.fast_step_hook.is_model_wrapper', lambda model: True)
    step = runner.model.train_step
    FastStepHook().before_train(runner)
    assert runner.model.train_step == step
